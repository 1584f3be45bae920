"""Figures computed from raw deliveries independently of the service: plain Python, no database.

Reads one JSON object from standard input: `deliveries` (`source`, `received_us`, `body` as text),
`erased` (sessions), `visit_gap_us`, and `requests`: `kind`, `metric`, `from` and `to` as local dates, `tz`,
and by kind `stat`, `bucket`, `group_by`, `edges`, `by`, `limit`. Writes the answer to each request:
- `timeseries`: rows with start, end, group, value;
- `distribution`: rows with group and the count of each bin, from below the first edge to above the last;
- `heatmap`: 168 rows with ISO weekday, hour, value and hours;
- `top`: the largest groups as name and value, the number of the others, and their value together.
"""

import functools
import json
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

MINUTE_US = 60_000_000
ASSISTANT = {"assistant", "agent", "ai", "avatar", "bot", "chatbot", "model"}
FLAGS = ["no_join", "one_sided", "repeated_user_turn", "altered", "out_of_order", "undated"]


def local(us, zone):
    return datetime.fromtimestamp(us // 1_000_000, timezone.utc).astimezone(zone)


@functools.cache
def start_of_day(text, zone):
    """Returns the first minute at which the local date is this day or later."""
    day = date.fromisoformat(text)
    at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - timedelta(hours=15)
    us = int(at.timestamp()) * 1_000_000
    while local(us, zone).date() < day:
        us += MINUTE_US
    return us


@functools.cache
def buckets(start, end, zone, unit):
    """Returns the bounds of the buckets, found minute by minute."""
    bounds, before, latest = [start], None, date.min
    us = start
    while us < end:
        now = local(us, zone)
        latest = max(latest, now.date())
        is_boundary = False
        if unit == "15m":
            shown, is_boundary = (now.date(), now.hour, now.minute // 15), now.minute % 15 == 0
        elif unit == "hour":
            shown, is_boundary = (now.date(), now.hour), now.minute == 0
        elif unit == "day":
            shown = latest
        elif unit == "month":
            shown = (latest.year, latest.month)
        else:
            shown = latest.isocalendar()[:2]
        if before is not None and (shown != before or is_boundary):
            bounds.append(us)
        before = shown
        us += MINUTE_US
    return bounds + [end]


def us_of(number):
    return None if number is None else round(Fraction(str(number)) * 1_000_000)


def sessions_of(given):
    """Returns sessions by key with their events; of duplicates only the first arrival."""
    first = {}
    for one in given["deliveries"]:
        key = (one["source"], one["body"])
        if key not in first or one["received_us"] < first[key]:
            first[key] = one["received_us"]
    sessions = defaultdict(lambda: {"messages": [], "joins": [], "ends": [], "room": None})
    for (source, text), received in first.items():
        body = json.loads(text)
        data = body.get("data", {})
        sent = us_of(body.get("timestamp"))
        at = us_of(data.get("timestamp"))
        at = sent if at is None else at
        event = {"received": received, "undated": at is None, "at": received if at is None else at}
        session = sessions[(source, body["agent_id"], data["session_id"])]
        if body["event_type"] == "room.join":
            session["joins"].append(event)
            session["room"] = data.get("room_name")
        elif body["event_type"] == "chat.push":
            role = data["role"].lower()
            event["role"] = "assistant" if role in ASSISTANT else role
            event["sent"] = event["at"] if sent is None else sent
            event["altered"] = "\u0000" in data["message"]
            event["text"] = data["message"].replace("\u0000", "\ufffd")
            session["messages"].append(event)
        else:
            session["ends"].append(event)
    return {key: one for key, one in sessions.items() if key[2] not in given["erased"]}


def facts_of(session, gap):
    """Marks what each message counts as, and computes the session's totals."""
    messages = session["messages"]
    messages.sort(key=lambda one: (one["at"], one["sent"], one["received"]))
    joins = sorted(one["at"] for one in session["joins"])
    before = None
    for one in messages:
        same = before is not None and one["at"] - before["at"] <= gap
        speaker = before["role"] if same else None
        one["silence"] = one["at"] - before["at"] if same else None
        one["turn"] = one["role"] == "user" and speaker != "user"
        one["reply"] = one["role"] == "assistant" and speaker == "user"
        one["repeats"] = one["role"] == "user" and speaker == "user"
        one["early"] = before is not None and any(
            other["received"] > one["received"] for other in messages[: messages.index(one)]
        )
        one["visit"] = None
        if not same:
            opening = [
                at
                for at in joins
                if one["at"] - gap <= at <= one["at"] and (before is None or at > before["at"])
            ]
            one["visit"] = min(opening, default=one["at"])
        before = one
    events = messages + session["joins"] + session["ends"]
    session["started"] = min(min(one["at"], one["received"]) for one in events)
    session["last"] = max(min(one["at"], one["received"]) for one in events)
    count = lambda role: sum(one["role"] == role for one in messages)
    users, assistants = count("user"), count("assistant")
    session["turns"] = sum(one["turn"] for one in messages)
    session["engaged"] = users > 0
    session["first_said"] = next((one["text"][:200] for one in messages if one["role"] == "user"), None)
    session["silent"] = users == 0 and (bool(session["joins"]) or assistants > 0)
    replies = [one["silence"] for one in messages if one["reply"]]
    silences = [one["silence"] for one in messages if one["silence"] is not None]
    session["first_reply"] = replies[0] if replies else None
    session["longest"] = max(silences) if silences else None
    session["flags"] = {
        "no_join": not session["joins"],
        "one_sided": bool(messages) and (users == 0 or assistants == 0),
        "repeated_user_turn": any(one["repeats"] for one in messages),
        "altered": any(one["altered"] for one in messages),
        "out_of_order": any(one["early"] for one in messages),
        "undated": any(one["undated"] for one in messages),
    }
    session["incomplete"] = any(session["flags"][flag] for flag in FLAGS[:4])
    session["events"] = events


def spread(values, stat):
    values = sorted(values)
    if not values:
        return None
    if stat == "avg":
        return float(Fraction(sum(values), len(values)))
    if stat == "max":
        return float(values[-1])
    place = Fraction(int(stat[1:]), 100) * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return float(values[low] + (values[high] - values[low]) * (place - low))


def within(start, end):
    return lambda at: at is not None and start <= at < end


def values_of(metric, chosen, inside):
    """Returns the values behind a metric's statistic, in microseconds or numbers."""
    started = [one for one in chosen.values() if inside(one["started"])]
    messages = [one for each in chosen.values() for one in each["messages"]]
    values = {
        "session_duration": lambda: [one["last"] - one["started"] for one in started],
        "messages_per_session": lambda: [len(one["messages"]) for one in started],
        "turns_per_session": lambda: [one["turns"] for one in started],
        "first_reply_gap": lambda: [one["first_reply"] for one in started],
        "longest_silence": lambda: [one["longest"] for one in started],
        "reply_gap": lambda: [one["silence"] for one in messages if one["reply"] and inside(one["at"])],
    }[metric]()
    return [value for value in values if value is not None]


def unit_of(metric):
    return 1 if metric.endswith("_per_session") else 1_000_000


def value_of(metric, stat, chosen, inside, start=0):
    """Returns the value of a metric over the sessions of a group, for times that are `inside`; `start`
    is the first of them."""
    started = [one for one in chosen.values() if inside(one["started"])]
    messages = [one for each in chosen.values() for one in each["messages"]]
    of = lambda name: [one for one in started if one[name]]
    number = {
        "sessions": lambda: len(started),
        "visits": lambda: sum(inside(one["visit"]) for one in messages),
        "engaged_sessions": lambda: len(of("engaged")),
        "silent_sessions": lambda: len(of("silent")),
        "single_turn_sessions": lambda: sum(one["turns"] == 1 for one in started),
        "incomplete_sessions": lambda: len(of("incomplete")),
        "messages": lambda: sum(inside(one["at"]) for one in messages),
        "user_messages": lambda: sum(inside(one["at"]) and one["role"] == "user" for one in messages),
        "assistant_messages": lambda: sum(
            inside(one["at"]) and one["role"] == "assistant" for one in messages
        ),
        "turns": lambda: sum(inside(one["at"]) and one["turn"] for one in messages),
        "active_sessions": lambda: sum(
            any(inside(event["at"]) for event in one["events"]) for one in chosen.values()
        ),
        "agents": lambda: len(
            {
                agent
                for (_, agent, _), one in chosen.items()
                if any(inside(event["at"]) for event in one["events"])
            }
        ),
    }
    if metric in number:
        return number[metric]()
    if metric == "concurrent_sessions":
        instants = [start] + [one["started"] for one in started]
        open_at = lambda at: sum(one["started"] <= at <= one["last"] for one in chosen.values())
        return max(map(open_at, instants))
    if metric.endswith("_rate"):
        base = {"engagement_rate": "engaged", "silent_rate": "silent"}.get(metric)
        part = len(of(base)) if base else sum(one["turns"] == 1 for one in started)
        return part / len(started) if started else None
    found = spread(values_of(metric, chosen, inside), stat)
    return found if found is None else found / unit_of(metric)


def range_of(request):
    zone = ZoneInfo(request["tz"])
    return zone, *(start_of_day(request[name], zone) for name in ("from", "to"))


def groups_of(sessions, by):
    if by is None:
        return {None: sessions}
    name = {
        "source": lambda key, session: key[0],
        "agent": lambda key, session: key[1],
        "room": lambda key, session: session["room"],
        "first_message": lambda key, session: session["first_said"],
    }[by]
    grouped = defaultdict(dict)
    for key, session in sessions.items():
        grouped[name(key, session)][key] = session
    return dict(sorted(grouped.items(), key=lambda one: (one[0] is None, one[0] or "")))


def timeseries(request, sessions):
    zone, start, end = range_of(request)
    bounds = buckets(start, end, zone, request["bucket"])
    metric, stat = request["metric"], request["stat"]
    return [
        {
            "start": low,
            "end": high,
            "group": group,
            "value": value_of(metric, stat, chosen, within(low, high), low),
        }
        for low, high in zip(bounds, bounds[1:])
        for group, chosen in groups_of(sessions, request["group_by"]).items()
    ]


def distribution(request, sessions):
    _, start, end = range_of(request)
    metric = request["metric"]
    edges = [Fraction(edge) * unit_of(metric) for edge in request["edges"].split(",")]
    rows = []
    for group, chosen in groups_of(sessions, request["group_by"]).items():
        counts = [0] * (len(edges) + 1)
        for value in values_of(metric, chosen, within(start, end)):
            counts[sum(edge <= value for edge in edges)] += 1
        rows.append({"group": group, "counts": counts})
    return rows


@functools.cache
def hour_of_week(us, zone):
    now = local(us, zone)
    return now.isoweekday(), now.hour


def heatmap(request, sessions):
    """Counts each event in the local hour of its time."""
    zone, start, end = range_of(request)
    minutes = defaultdict(int)
    for us in range(start, end, MINUTE_US):
        minutes[hour_of_week(us, zone)] += 1
    rows = []
    for cell in ((weekday, hour) for weekday in range(1, 8) for hour in range(24)):
        inside = lambda at: within(start, end)(at) and hour_of_week(at, zone) == cell
        value = value_of(request["metric"], None, sessions, inside)
        rows.append({"cell": cell, "value": value, "hours": minutes[cell] / 60})
    return rows


def top(request, sessions):
    _, start, end = range_of(request)
    inside = within(start, end)
    metric, stat = request["metric"], request["stat"]
    found = []
    for group, chosen in groups_of(sessions, request["by"]).items():
        # Groups without a session or message in the range are left out.
        times = [one["started"] for one in chosen.values()]
        if request["by_message"]:
            times = [one["at"] for each in chosen.values() for one in each["messages"]]
        value = value_of(metric, stat, chosen, inside, start)
        if value is not None and any(map(inside, times)):
            found.append((group, value, chosen))
    found.sort(key=lambda one: (-one[1], one[0] is None, one[0] or ""))
    rest = {key: one for _, _, chosen in found[request["limit"] :] for key, one in chosen.items()}
    return {
        "groups": [one[:2] for one in found[: request["limit"]]],
        "others": len(found[request["limit"] :]),
        "other": value_of(metric, stat, rest, inside, start) if request["adds_up"] else None,
    }


def main():
    given = json.load(sys.stdin)
    sessions = sessions_of(given)
    for session in sessions.values():
        facts_of(session, given["visit_gap_us"])
    kinds = {"timeseries": timeseries, "distribution": distribution, "heatmap": heatmap, "top": top}
    answers = [kinds[request["kind"]](request, sessions) for request in given["requests"]]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()

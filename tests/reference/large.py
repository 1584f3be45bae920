"""Figures of very many deliveries, for which `figures.py` is too slow; it uses the same definitions.

Reads lines of JSON from standard input. The first one has `erased` (sessions), `erased_agents`,
`expired` (source to time), `visit_gap_us`, and `requests` (`metrics` as pairs of name and statistic,
`from` and `to` as local dates, `tz`, `bucket`, `group_by`, `room`). Each further one is a delivery:
source, time of arrival, body. Writes for each request its rows: start, end, group, values.
"""

import json
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from zoneinfo import ZoneInfo

from figures import FLAGS, buckets, facts_of, sessions_of, spread, start_of_day


def is_known(event):
    """Returns the earlier of the event's time and its arrival: a fast clock must not move a session."""
    return min(event["at"], event["received"])


def expire(session, before):
    """Removes events before a time; returns False if nothing of the session is left."""
    events = session["messages"] + session["joins"] + session["ends"]
    last = max(map(is_known, events))
    session["first"], session["joined"] = min(map(is_known, events)), bool(session["joins"])
    if last < before:
        return False
    if session["first"] < before:
        for kind in ("messages", "joins"):
            session[kind] = [one for one in session[kind] if one["at"] >= before]
        left = session["messages"] + session["joins"]
        session["first"] = max(session["first"], min(map(is_known, left), default=last))
    return True


def correct(session):
    """Corrects facts that do not follow from the session's remaining rows."""
    assistants = any(one["role"] == "assistant" for one in session["messages"])
    session["started"] = session["first"]
    session["silent"] = not session["engaged"] and (session["joined"] or assistants)
    session["flags"]["no_join"] = not session["joined"]
    session["incomplete"] = any(session["flags"][flag] for flag in FLAGS[:4])


class Group:
    """Sessions, and their events in order of time."""

    def __init__(self, sessions):
        self.sessions = sorted(sessions.items(), key=lambda one: one[1]["started"])
        self.starts = [one["started"] for _, one in self.sessions]
        self.lasts = sorted(one["last"] for _, one in self.sessions)
        messages = [one for _, session in self.sessions for one in session["messages"]]
        messages.sort(key=lambda one: one["at"])
        self.times = {
            "messages": [one["at"] for one in messages],
            "user_messages": [one["at"] for one in messages if one["role"] == "user"],
            "assistant_messages": [one["at"] for one in messages if one["role"] == "assistant"],
            "turns": [one["at"] for one in messages if one["turn"]],
            "visits": sorted(one["visit"] for one in messages if one["visit"] is not None),
        }
        self.replies = [(one["at"], one["silence"]) for one in messages if one["reply"]]
        self.reply_times = [at for at, _ in self.replies]
        self.events = sorted(
            (event["at"], number, key[1])
            for number, (key, session) in enumerate(self.sessions)
            for event in session["events"]
        )
        self.event_times = [at for at, _, _ in self.events]

    def started(self, start, end):
        low, high = bisect_left(self.starts, start), bisect_left(self.starts, end)
        return [one for _, one in self.sessions[low:high]]

    def value(self, metric, stat, start, end, flag=None):
        inside = lambda times: slice(bisect_left(times, start), bisect_left(times, end))
        if metric in self.times:
            found = inside(self.times[metric])
            return found.stop - found.start
        if metric in ("active_sessions", "agents"):
            place = 1 if metric == "active_sessions" else 2
            return len({event[place] for event in self.events[inside(self.event_times)]})
        started = self.started(start, end)
        count = lambda name: sum(one[name] for one in started)
        if flag is not None:
            return sum(one["flags"][flag] for one in started)
        if metric == "sessions":
            return len(started)
        if metric == "concurrent_sessions":
            instants = {start, *(one["started"] for one in started)}
            return max(bisect_right(self.starts, at) - bisect_left(self.lasts, at) for at in instants)
        single = sum(one["turns"] == 1 for one in started)
        counts = {
            "engaged_sessions": lambda: count("engaged"),
            "silent_sessions": lambda: count("silent"),
            "single_turn_sessions": lambda: single,
            "incomplete_sessions": lambda: count("incomplete"),
        }
        if metric in counts:
            return counts[metric]()
        if metric.endswith("_rate"):
            part = {"engagement_rate": "engaged", "silent_rate": "silent"}.get(metric)
            part = count(part) if part else single
            return part / len(started) if started else None
        values = {
            "session_duration": lambda: [one["last"] - one["started"] for one in started],
            "messages_per_session": lambda: [len(one["messages"]) for one in started],
            "turns_per_session": lambda: [one["turns"] for one in started],
            "first_reply_gap": lambda: [one["first_reply"] for one in started],
            "longest_silence": lambda: [one["longest"] for one in started],
            "reply_gap": lambda: [gap for _, gap in self.replies[inside(self.reply_times)]],
        }[metric]()
        found = spread([value for value in values if value is not None], stat)
        seconds = not metric.endswith("_per_session")
        return found / 1e6 if found is not None and seconds else found


class Groups:
    """Groups of all sessions, created on first use."""

    def __init__(self, sessions):
        self.sessions, self.made = sessions, {}

    def of(self, by, room):
        if (by, room) not in self.made:
            self.made[by, room] = self.make(by, room)
        return self.made[by, room]

    def make(self, by, room):
        chosen = {
            key: one
            for key, one in self.sessions.items()
            if room is None or one["room"] == room
        }
        if by in (None, "flag"):
            group = Group(chosen)
            return {name: group for name in (FLAGS if by else [None])}
        if by == "role":
            roles = defaultdict(dict)
            for key, one in chosen.items():
                for role in {message["role"] for message in one["messages"]}:
                    said = [message for message in one["messages"] if message["role"] == role]
                    roles[role][key] = one | {"messages": said}
            return {role: Group(sessions) for role, sessions in roles.items()}
        grouped = defaultdict(dict)
        for key, one in chosen.items():
            grouped[key[{"source": 0, "agent": 1}[by]]][key] = one
        return {name: Group(sessions) for name, sessions in grouped.items()}


def rows_of(request, groups):
    zone = ZoneInfo(request["tz"])
    start, end = (start_of_day(request[name], zone) for name in ("from", "to"))
    whole = request["bucket"] is None
    bounds = [start, end] if whole else buckets(start, end, zone, request["bucket"])
    by = request["group_by"]
    return [
        [low, high, name, [
            group.value(metric, stat, low, high, name if by == "flag" else None)
            for metric, stat in request["metrics"]
        ]]
        for name, group in groups.of(by, request["room"]).items()
        for low, high in zip(bounds, bounds[1:])
    ]


def main():
    given = json.loads(sys.stdin.readline())
    lines = map(json.loads, sys.stdin)
    given["deliveries"] = [
        {"source": source, "received_us": received, "body": body} for source, received, body in lines
    ]
    sessions = sessions_of(given)
    for key in list(sessions):
        source, agent, _ = key
        if agent in given["erased_agents"] or not expire(sessions[key], given["expired"][source]):
            del sessions[key]
            continue
        facts_of(sessions[key], given["visit_gap_us"])
        correct(sessions[key])
    rooms = rooms_of(given["deliveries"])
    for key, session in sessions.items():
        session["room"] = rooms.get(key)
    groups = Groups(sessions)
    json.dump([rows_of(request, groups) for request in given["requests"]], sys.stdout)


def rooms_of(deliveries):
    """Returns the rooms of sessions; all joins of a session name the same room."""
    rooms = {}
    for one in deliveries:
        if '"room_name"' in one["body"]:
            body = json.loads(one["body"])
            key = (one["source"], body["agent_id"], body["data"]["session_id"])
            rooms[key] = body["data"]["room_name"]
    return rooms


main()

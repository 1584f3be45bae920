// The service, from its metrics in Prometheus.

import {
  conversationsOfRange,
  dashboard,
  instanceVariable,
  link,
  pageVariable,
  row,
  stat,
  timeSeries,
} from './parts.mjs';

const all = [
  link('Conversations', conversationsOfRange),
  link('Health', '${page}/health'),
];
const deliveries = [link('Deliveries', '${page}/deliveries'), ...all];
const quarantined = [
  link('Quarantined deliveries', '${page}/deliveries?outcome=quarantined'),
  ...all,
];

/** A metric of the chosen instances. */
const of = (name, labels = '') =>
  `verbatim_${name}{job="verbatim", instance=~"$instance"${labels && `, ${labels}`}}`;
const ofProcess = (name) => `process_${name}{job="verbatim", instance=~"$instance"}`;
/** Increase per second. */
const rate = (name, labels) => `rate(${of(name, labels)}[$__rate_interval])`;
const sum = (by, expression) => `sum by (${by}) (${expression})`;

const quantile = (q, name, by, labels) =>
  `histogram_quantile(${q}, ${sum([by, 'le'].filter(Boolean).join(', '), rate(`${name}_bucket`, labels))})`;

/** Percentiles of a histogram. */
const percentiles = (name, labels) => [
  [quantile(0.5, name, '', labels), 'p50'],
  [quantile(0.9, name, '', labels), 'p90'],
  [quantile(0.99, name, '', labels), 'p99'],
];

const series = (title, description, promql, more = {}) =>
  timeSeries({ title, description, promql, links: all, ...more });
const value = (title, description, promql, more = {}) =>
  stat({ title, description, promql, width: 3, links: all, ...more });

const GOOD_IS_ZERO = [
  [null, 'green'],
  [1e-9, 'red'],
];
const UP = {
  thresholds: [
    [null, 'red'],
    [1, 'green'],
  ],
  mappings: [
    {
      type: 'value',
      options: { 0: { text: 'no', index: 0 }, 1: { text: 'yes', index: 1 } },
    },
  ],
};

export const service = dashboard({
  uid: 'verbatim-service',
  title: 'Verbatim itself',
  description: 'Whether deliveries come in, how quickly they are answered, and what waits.',
  from: 'now-6h',
  variables: [pageVariable, instanceVariable],
  links: all,
  panels: [
    value(
      'Up',
      'The least of the chosen instances: whether Prometheus reaches it.',
      'min(up{job="verbatim", instance=~"$instance"})',
      UP,
    ),
    value(
      'PostgreSQL answers',
      'The least of the chosen instances.',
      `min(${of('postgres_up')})`,
      UP,
    ),
    value('Deliveries a second', 'Answers of the webhook.', `sum(${rate('webhook_answers_total')})`, {
      unit: 'reqps',
      links: deliveries,
    }),
    value(
      'room.join, p99',
      'Time from a delivery\'s head to its answer. The avatar waits for it before it speaks.',
      quantile(0.99, 'webhook_answer_duration_seconds', '', 'event="room.join"'),
      {
        unit: 's',
        thresholds: [
          [null, 'green'],
          [0.025, 'orange'],
          [0.05, 'red'],
        ],
      },
    ),
    value('In the inbox', 'Deliveries that are not yet in PostgreSQL.', `sum(${of('inbox_deliveries')})`),
    value(
      'Oldest of them',
      'How far PostgreSQL is behind.',
      `max(${of('inbox_oldest_age_seconds')})`,
      {
        unit: 's',
        thresholds: [
          [null, 'green'],
          [10, 'orange'],
          [60, 'red'],
        ],
      },
    ),
    value(
      'Not stored, in the range',
      'Answers 5xx of the webhook: such deliveries may be lost.',
      `sum(increase(${of('webhook_answers_total', 'status=~"5.."')}[$__range]))`,
      { thresholds: GOOD_IS_ZERO, links: deliveries },
    ),
    value(
      'Alerts that fire',
      'Alerts of Prometheus\' rules for Verbatim.',
      'count(ALERTS{alertstate="firing", alertname=~"Verbatim.*"}) or vector(0)',
      { thresholds: GOOD_IS_ZERO },
    ),

    row('Ingest'),
    series(
      'Answers by status',
      'Answers of the webhook a second.',
      [[sum('status', rate('webhook_answers_total')), '{{status}}']],
      { unit: 'reqps', stacked: true, links: deliveries },
    ),
    series(
      'Refusals by reason',
      'Answers 401 a second, by source and the check that failed.',
      [[sum('source, check', rate('webhook_refusals_total')), '{{source}} {{check}}']],
      { unit: 'reqps', links: deliveries },
    ),
    series(
      'Answer latency: room.join',
      'Time from a delivery\'s head to its answer. The avatar waits for it before it speaks.',
      percentiles('webhook_answer_duration_seconds', 'event="room.join"'),
      { unit: 's' },
    ),
    series(
      'Answer latency: all others',
      'Time from a delivery\'s head to its answer, the body\'s way over the network included.',
      percentiles('webhook_answer_duration_seconds', 'event="other"'),
      { unit: 's' },
    ),

    row('Inbox and drain'),
    series(
      'Inbox: deliveries',
      'Deliveries that are not yet in PostgreSQL.',
      [[of('inbox_deliveries'), '{{instance}}']],
      { width: 8 },
    ),
    series(
      'Inbox: oldest',
      'Age of the oldest delivery that is not yet in PostgreSQL.',
      [[of('inbox_oldest_age_seconds'), '{{instance}}']],
      { unit: 's', width: 8 },
    ),
    series(
      'Inbox: room',
      'Room that undrained deliveries take, as a part of the quota. Beyond it a delivery needs ' +
        'PostgreSQL to be answered.',
      [['instance:verbatim_inbox_used:ratio{instance=~"$instance"}', '{{instance}}']],
      { unit: 'percentunit', width: 8 },
    ),
    series(
      'Drain: deliveries',
      'Deliveries a second that PostgreSQL has committed, by outcome.',
      [[sum('outcome', rate('deliveries_total')), '{{outcome}}']],
      { unit: 'reqps', stacked: true, links: deliveries },
    ),
    series(
      'Drain: lag',
      'Time from a delivery\'s arrival to its commit in PostgreSQL.',
      percentiles('delivery_lag_seconds'),
      { unit: 's' },
    ),
    series(
      'Drain: batches',
      'Duration of a batch, by way: inbox is the drain; direct is before the answer.',
      [
        [quantile(0.5, 'drain_batch_duration_seconds', 'way'), '{{way}} p50'],
        [quantile(0.99, 'drain_batch_duration_seconds', 'way'), '{{way}} p99'],
      ],
      { unit: 's' },
    ),
    series(
      'Drain: deliveries of a batch',
      'Average over the interval, by way.',
      [
        [
          `${sum('way', rate('drain_batch_deliveries_sum'))} / ${sum('way', rate('drain_batch_deliveries_count'))}`,
          '{{way}}',
        ],
      ],
    ),
    series(
      'Inbox: commits',
      'Duration of a commit, its sync included.',
      percentiles('inbox_commit_duration_seconds'),
      { unit: 's' },
    ),
    series(
      'Failures',
      'Attempts to write a batch to PostgreSQL that failed, and deliveries that the inbox did not ' +
        'take, a second.',
      [
        [sum('way, reason', rate('drain_failures_total')), 'PostgreSQL {{way}} {{reason}}'],
        [sum('reason', rate('inbox_refusals_total')), 'inbox {{reason}}'],
        [sum('instance', rate('inbox_commit_failures_total')), 'inbox commit {{instance}}'],
      ],
      { unit: 'reqps' },
    ),

    row('Duplicates and quarantine'),
    series(
      'Duplicates',
      'Deliveries that were stored already, a second. They are stored once.',
      [[sum('source', rate('deliveries_total', 'outcome="duplicate"')), '{{source}}']],
      { unit: 'reqps', links: [link('Duplicates', '${page}/deliveries?outcome=duplicate'), ...all] },
    ),
    series(
      'Quarantine',
      'Deliveries of the range that could not be read or stored, by source and type. Their bytes ' +
        'are kept.',
      [
        [
          sum('source, type', `increase(${of('deliveries_total', 'outcome="quarantined"')}[$__rate_interval])`),
          '{{source}} {{type}}',
        ],
      ],
      { links: quarantined },
    ),

    row('Search and figures'),
    series(
      'Lag of search',
      'Age of the oldest stored message that search does not find yet.',
      [[of('search_lag_seconds'), '{{instance}}']],
      { unit: 's', width: 8 },
    ),
    series(
      'Lag of figures',
      'Age of the oldest stored delivery that figures do not reflect yet.',
      [[of('figures_lag_seconds'), '{{instance}}']],
      { unit: 's', width: 8 },
    ),
    series(
      'Transactions behind',
      'Transactions of the drain that search and figures have not reached yet.',
      [
        [`max(${of('search_lag_entries')})`, 'search'],
        [`max(${of('figures_lag_entries')})`, 'figures'],
        [`max(${of('search_rebuild_entries')})`, 'rebuild of search'],
      ],
      { width: 8 },
    ),

    row('PostgreSQL'),
    series(
      'PostgreSQL answers, schema is current',
      '1 while it answers, and once its schema is what this version needs.',
      [
        [of('postgres_up'), 'answers {{instance}}'],
        [of('schema_current'), 'schema {{instance}}'],
      ],
      { max: 1, width: 8 },
    ),
    series(
      'Connections for reads',
      'Connections that the API reads through, and the most that may be busy.',
      [
        [sum('state', of('postgres_connections')), '{{state}}'],
        [`sum(${of('postgres_connections_limit')})`, 'limit'],
      ],
      { width: 8 },
    ),
    series(
      'Batches a second',
      'Transactions of the drain, by way.',
      [[sum('way', rate('drain_batch_deliveries_count')), '{{way}}']],
      { unit: 'ops', width: 8 },
    ),

    row('API and process'),
    series(
      'API: answers',
      'Answers a second, by class of status.',
      [[sum('status', rate('http_request_duration_seconds_count')), '{{status}}']],
      { unit: 'reqps', stacked: true },
    ),
    series(
      'API: p99 by route',
      'The ten slowest routes.',
      [[`topk(10, ${quantile(0.99, 'http_request_duration_seconds', 'route')})`, '{{route}}']],
      { unit: 's' },
    ),
    series('Processor', 'Processor seconds a second: 1 is one core.', [
      [`rate(${ofProcess('cpu_seconds_total')}[$__rate_interval])`, '{{instance}}'],
    ], { width: 8 }),
    series('Memory', 'Resident memory.', [[ofProcess('resident_memory_bytes'), '{{instance}}']], {
      unit: 'bytes',
      width: 8,
    }),
    series(
      'Open files and connections',
      'As a part of the limit.',
      [[`${ofProcess('open_fds')} / ${ofProcess('max_fds')}`, '{{instance}}']],
      { unit: 'percentunit', width: 8 },
    ),
  ],
});

// Parts of dashboards. See generate.mjs.

import { readFileSync } from 'node:fs';

/** Fixed uids, defined in provisioning/datasources. */
export const POSTGRES = { type: 'grafana-postgresql-datasource', uid: 'verbatim-postgres' };
export const PROMETHEUS = { type: 'prometheus', uid: 'verbatim-prometheus' };

/** Default URL of the page; start.sh may replace it. */
export const PAGE_URL = 'http://localhost:8080';

/** Version of the dashboard format: the newest of @grafana/schema. */
const SCHEMA_VERSION = 42;
/** Columns of Grafana's grid. */
const GRID_WIDTH = 24;

const catalogue = readFileSync(
  new URL('../../docs/reference/metrics-catalog.md', import.meta.url),
  'utf8',
);

function sectionOf(metric) {
  const section = catalogue.split(`\n## \`${metric}\`\n`)[1];
  if (section === undefined) throw new Error(`the catalogue has no metric ${metric}`);
  return section.split('\n## ', 1)[0].trim();
}

/** Returns the definitions of metrics in the catalogue. */
export const definitions = (...metrics) =>
  metrics.map((metric) => sectionOf(metric).split('\n', 1)[0]).join('\n\n');

/** Returns the edges of a metric's histogram. */
export function edgesOf(metric) {
  const found = /\| histogram edges \| ([\d., ]+)/.exec(sectionOf(metric));
  if (found === null) throw new Error(`the catalogue has no histogram of ${metric}`);
  return found[1].split(',').map(Number);
}

// Time zone of buckets: the variable's, or else the dashboard's. Some versions of Grafana send
// "browser" instead of the browser's zone, which PostgreSQL cannot know, so UTC is used.
export const ZONE = `COALESCE(NULLIF('$zone', 'dashboard'), NULLIF('$__timezone', 'browser'), 'UTC')`;

const BUCKET = `CASE
        WHEN '$bucket' <> 'auto' THEN '$bucket'
        WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '12 hours' THEN '15m'
        WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '3 days' THEN 'hour'
        WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '93 days' THEN 'day'
        ELSE 'week'
    END`;

/** Buckets of the dashboard's range, as b: exact days of the zone, also of 23 or 25 hours. */
export const BUCKETS = `analytics_v1.buckets(
    $__timeFrom(),
    $__timeTo(),
    ${BUCKET},
    ${ZONE}
) AS b`;

// "All" is '' (allValue), which makes a condition true before a row is read.
const several = (column, variable) => `('' IN ($${variable}) OR ${column} IN ($${variable}))`;

/** Conditions for the variables of a dashboard whose agents are a list with "All". */
export const ofAgents = (alias) =>
  `${several(`${alias}.agent_id`, 'agent')} AND ${several(`${alias}.source`, 'source')}`;

/** Conditions for the variables of a dashboard of one agent. */
export const ofOneAgent = (alias) =>
  `${alias}.agent_id = '$agent' AND ${several(`${alias}.source`, 'source')}`;

/** Rows of a view within the range. */
export const within = (column) => `${column} >= $__timeFrom() AND ${column} < $__timeTo()`;

const RANGE = 'from=${__from:date:iso}&to=${__to:date:iso}';
const SCOPE = '${agent:customqueryparam:agent}&${source:customqueryparam:source}';

/** URL of the list of conversations for the dashboard's range and filters, with further filters. */
export const conversations = (filters = '') =>
  `\${page}/conversations?${RANGE}&${SCOPE}${filters && `&${filters}`}`;

/** The same for a dashboard without agents. */
export const conversationsOfRange = `\${page}/conversations?${RANGE}`;

/** A link in a panel's corner. */
export const link = (title, url) => ({
  asDropdown: false,
  icon: 'external link',
  includeVars: false,
  keepTime: false,
  tags: [],
  targetBlank: true,
  title,
  tooltip: '',
  type: 'link',
  url,
});

/** A link of a table's cells. */
export const cellLink = (title, url) => ({ title, url, targetBlank: true });

/** A column of a table. */
export const column = (name, properties) => ({
  matcher: { id: 'byName', options: name },
  properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
});

const query = (rawSql, format) => [
  {
    datasource: POSTGRES,
    editorMode: 'code',
    format,
    rawQuery: true,
    rawSql,
    refId: 'A',
  },
];

const expressions = (list) =>
  list.map(([expr, legendFormat], index) => ({
    datasource: PROMETHEUS,
    editorMode: 'code',
    expr,
    legendFormat,
    range: true,
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
  }));

const instant = (expr) => [
  { datasource: PROMETHEUS, editorMode: 'code', expr, instant: true, range: false, refId: 'A' },
];

const steps = (list) => ({
  mode: 'absolute',
  steps: list.map(([value, color]) => ({ value, color })),
});

const LEGEND = { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true };
const TOOLTIP = { mode: 'multi', sort: 'desc' };
const REDUCE = { calcs: ['lastNotNull'], fields: '', values: false };

/** Common properties of panels. */
function panel(type, { title, description, width, height, links }, more) {
  return { type, title, description, width, height, links, ...more };
}

/** Values over time: bars for counts of buckets, lines for measured values. */
export function timeSeries({ sql, promql, unit = 'short', bars, stacked, max, min = 0, ...rest }) {
  const custom = bars
    ? { drawStyle: 'bars', fillOpacity: 60, lineWidth: 0, barAlignment: 1 }
    : { drawStyle: 'line', fillOpacity: 8, lineWidth: 2, showPoints: 'auto', spanNulls: false };
  return panel('timeseries', { width: 12, height: 8, ...rest }, {
    datasource: sql ? POSTGRES : PROMETHEUS,
    fieldConfig: {
      defaults: {
        color: { mode: 'palette-classic-by-name' },
        custom: { ...custom, ...(stacked && { stacking: { group: 'A', mode: 'normal' } }) },
        min,
        ...(max !== undefined && { max }),
        unit,
      },
      overrides: [],
    },
    options: { legend: LEGEND, tooltip: TOOLTIP },
    targets: sql ? query(sql, 'time_series') : expressions(promql),
  });
}

/** One value, or a few side by side. */
export function stat({ sql, promql, unit = 'short', thresholds, mappings, fields = '', ...rest }) {
  return panel('stat', { width: 4, height: 4, ...rest }, {
    datasource: sql ? POSTGRES : PROMETHEUS,
    fieldConfig: {
      defaults: {
        color: thresholds ? { mode: 'thresholds' } : { mode: 'fixed', fixedColor: 'text' },
        ...(mappings && { mappings }),
        noValue: '–',
        ...(thresholds && { thresholds: steps(thresholds) }),
        unit,
      },
      overrides: [],
    },
    options: {
      colorMode: 'value',
      graphMode: 'none',
      justifyMode: 'auto',
      orientation: 'auto',
      percentChangeColorMode: 'standard',
      reduceOptions: { ...REDUCE, fields },
      showPercentChange: false,
      textMode: 'auto',
      wideLayout: true,
    },
    targets: sql ? query(sql, 'table') : instant(promql),
  });
}

/** Bars of categories: the first column names them. */
export function barChart({ sql, x, unit = 'short', horizontal, stacked, ...rest }) {
  return panel('barchart', { width: 12, height: 8, ...rest }, {
    datasource: POSTGRES,
    fieldConfig: {
      defaults: {
        color: { mode: 'palette-classic-by-name' },
        custom: { fillOpacity: 70, lineWidth: 0 },
        min: 0,
        unit,
      },
      overrides: [],
    },
    options: {
      barWidth: 0.8,
      fullHighlight: false,
      groupWidth: 0.7,
      legend: { ...LEGEND, showLegend: Boolean(stacked) },
      orientation: horizontal ? 'horizontal' : 'vertical',
      showValue: 'auto',
      stacking: stacked ? 'normal' : 'none',
      tooltip: TOOLTIP,
      xField: x,
      xTickLabelMaxLength: 24,
      xTickLabelRotation: 0,
    },
    targets: query(sql, 'table'),
  });
}

/** Rows. */
export function table({ sql, columns = [], sortBy = [], ...rest }) {
  return panel('table', { width: 24, height: 10, ...rest }, {
    datasource: POSTGRES,
    fieldConfig: {
      defaults: { custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false } },
      overrides: columns,
    },
    options: { cellHeight: 'sm', frameIndex: 0, showHeader: true, sortBy },
    targets: query(sql, 'table'),
  });
}

/** Totals by weekday and hour, as a table whose cells are coloured. */
export function weekdays({ value, from, where, at, ...rest }) {
  const hours = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0'));
  const sums = hours.map(
    (name, hour) => `    COALESCE(sum(${value}) FILTER (WHERE t.hour = ${hour}), 0) AS "${name}"`,
  );
  const made = table({
    sql: `SELECT
    (ARRAY['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'])[d.weekday] AS day,
${sums.join(',\n')}
FROM generate_series(1, 7) AS d (weekday)
LEFT JOIN (
    SELECT
        extract(isodow FROM ${at} AT TIME ZONE ${ZONE})::integer AS weekday,
        extract(hour FROM ${at} AT TIME ZONE ${ZONE})::integer AS hour,
        ${from.columns}
    FROM ${from.view}
    WHERE ${where}
) AS t ON t.weekday = d.weekday
GROUP BY d.weekday
ORDER BY d.weekday`,
    height: 9,
    ...rest,
  });
  made.fieldConfig.defaults = {
    color: { mode: 'continuous-blues' },
    custom: {
      align: 'center',
      cellOptions: { type: 'color-background', mode: 'basic' },
      inspect: false,
      minWidth: 40,
    },
    min: 0,
    unit: 'short',
  };
  made.fieldConfig.overrides = [
    column('day', { 'custom.cellOptions': { type: 'auto' }, 'custom.width': 60 }),
  ];
  return made;
}

/** Counts of rows between the edges of the metric's histogram. */
export function distribution({ metric, value, from, where, unit, ...rest }) {
  const edges = edgesOf(metric);
  const labels = edges.map((edge, index) => {
    const upper = edges[index + 1];
    return `        (${index + 1}, '${upper === undefined ? `${edge} and more` : `${edge} – ${upper}`}')`;
  });
  return barChart({
    sql: `SELECT e.label AS "${unit}", count(v.place) AS count
FROM (
    VALUES
${labels.join(',\n')}
) AS e (place, label)
LEFT JOIN (
    SELECT width_bucket(${value}, ARRAY[${edges.join(', ')}]::double precision[]) AS place
    FROM ${from}
    WHERE ${where}
) AS v ON v.place = e.place
GROUP BY e.place, e.label
ORDER BY e.place`,
    x: unit,
    description: definitions(metric),
    ...rest,
  });
}

/** A heading. */
export const row = (title) => ({ type: 'row', title });

/** Places panels from left to right, and gives them their ids. */
function layOut(panels) {
  let [x, y, height] = [0, 0, 0];
  return panels.map(({ width = GRID_WIDTH, height: h = 1, ...panel }, index) => {
    if (x + width > GRID_WIDTH) [x, y, height] = [0, y + height, 0];
    const gridPos = { h, w: width, x, y };
    x += width;
    height = Math.max(height, h);
    const id = index + 1;
    if (panel.type === 'row') return { ...panel, collapsed: false, gridPos, id, panels: [] };
    return { id, gridPos, ...panel };
  });
}

const option = (text, value = text) => ({ selected: true, text, value });

/** URL of the page, with which links begin. */
export const pageVariable = {
  current: option(PAGE_URL),
  description: 'Address of the page',
  hide: 2,
  name: 'page',
  query: PAGE_URL,
  skipUrlSync: true,
  type: 'constant',
};

const AGENTS = 'SELECT agent_id FROM analytics_v1.agents ORDER BY last_activity_at DESC LIMIT 1000';
const ALL = { allValue: "''", includeAll: true, current: option('All', '$__all') };

const queryVariable = (name, label, sql, more) => ({
  allowCustomValue: true,
  current: {},
  datasource: POSTGRES,
  label,
  multi: false,
  name,
  options: [],
  query: sql,
  refresh: 1,
  sort: 0,
  type: 'query',
  ...more,
});

export const agentsVariable = queryVariable('agent', 'Agent', AGENTS, { ...ALL, multi: true });
export const agentVariable = queryVariable('agent', 'Agent', AGENTS, {});
export const sourceVariable = queryVariable(
  'source',
  'Source',
  `SELECT DISTINCT source FROM analytics_v1.activity_15m WHERE ${within('start')} ORDER BY source`,
  { ...ALL, refresh: 2 },
);

const customVariable = (name, label, list) => ({
  allowCustomValue: true,
  current: option(list[0][0], list[0][1]),
  label,
  multi: false,
  name,
  options: list.map(([text, value], index) => ({ selected: index === 0, text, value })),
  query: list.map(([text, value]) => (text === value ? value : `${text} : ${value}`)).join(','),
  type: 'custom',
});

const same = (...values) => values.map((value) => [value, value]);
export const zoneVariable = {
  ...customVariable('zone', 'Zone', [
    ["dashboard's", 'dashboard'],
    ...same('UTC', 'America/Los_Angeles', 'America/New_York', 'America/Sao_Paulo'),
    ...same('Europe/London', 'Europe/Berlin', 'Asia/Kolkata', 'Asia/Shanghai', 'Asia/Tokyo'),
    ...same('Australia/Sydney'),
  ]),
  description: 'Time zone of days and hours. Any IANA name can be typed.',
};
export const bucketVariable = customVariable(
  'bucket',
  'Bucket',
  same('auto', '15m', 'hour', 'day', 'week', 'month'),
);

export const instanceVariable = {
  allValue: '.+',
  allowCustomValue: true,
  current: option('All', '$__all'),
  datasource: PROMETHEUS,
  includeAll: true,
  label: 'Instance',
  multi: true,
  name: 'instance',
  options: [],
  query: { query: 'label_values(verbatim_build_info, instance)', refId: 'instance' },
  refresh: 2,
  sort: 1,
  type: 'query',
};

/** A dashboard. */
export function dashboard({ uid, title, description, from, variables, links, panels }) {
  return {
    annotations: { list: [] },
    description,
    editable: true,
    graphTooltip: 1,
    id: null,
    links: [
      {
        ...link('Other dashboards', ''),
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        tags: ['verbatim'],
        targetBlank: false,
        type: 'dashboards',
      },
      ...links,
    ],
    panels: layOut(panels),
    refresh: '1m',
    schemaVersion: SCHEMA_VERSION,
    tags: ['verbatim'],
    templating: { list: variables },
    time: { from, to: 'now' },
    timepicker: {},
    timezone: 'browser',
    title,
    uid,
    version: 1,
    weekStart: 'monday',
  };
}

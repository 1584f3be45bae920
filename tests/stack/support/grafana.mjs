// Expands queries as Grafana does: variables in the browser, macros in the datasource.

/** Values of the dashboard's and Grafana's variables. `null` is "All". */
export class Values {
  constructor(dashboard, { from, to, timezone, ...chosen }) {
    this.range = { from, to };
    this.variables = new Map(dashboard.templating.list.map((each) => [each.name, each]));
    this.chosen = new Map(Object.entries(chosen));
    this.builtIn = new Map([['__timezone', timezone]]);
  }

  /** Returns the value of a variable: a text, several texts, or `{ all }` with the text for "All". */
  of(name) {
    if (this.builtIn.has(name)) return this.builtIn.get(name);
    const variable = this.variables.get(name);
    if (variable === undefined) return undefined;
    const value = this.chosen.has(name) ? this.chosen.get(name) : variable.current.value;
    if (value === null || value === '$__all') {
      if (!variable.includeAll) throw new Error(`${name} has no "All"`);
      return { all: variable.allValue };
    }
    return variable.multi && !Array.isArray(value) ? [value] : value;
  }
}

const VARIABLE = /\$\{(\w+)(?::([^}]+))?\}|\$(\w+)/g;

function interpolate(text, values, format) {
  return text.replace(VARIABLE, (found, braced, style, bare) => {
    const name = braced ?? bare;
    const value = values.of(name);
    // Variables that the browser does not know are left to the datasource.
    if (value === undefined) return found;
    if (style !== undefined) throw new Error(`a query has a format: ${found}`);
    // The text for "All" is inserted unquoted.
    return value.all ?? format(value, values.variables.get(name));
  });
}

const quote = (text) => `'${String(text).replaceAll("'", "''")}'`;

/** Formats variables as Grafana's SQL datasources do. */
const sqlFormat = (value, variable) => {
  if (Array.isArray(value)) return value.map(quote).join(',');
  if (variable?.multi || variable?.includeAll) return quote(value);
  return String(value).replaceAll("'", "''");
};

/** Expands a query for PostgreSQL. */
export function expandSql(sql, values) {
  const instant = (date) => quote(date.toISOString().replace('.000Z', 'Z'));
  const { from, to } = values.range;
  const macros = {
    timeFrom: () => instant(from),
    timeTo: () => instant(to),
    timeFilter: (column) => `${column} BETWEEN ${instant(from)} AND ${instant(to)}`,
  };
  return interpolate(sql, values, sqlFormat).replace(
    /\$__(\w+)\(([^)]*)\)/g,
    (found, name, argument) => {
      if (!(name in macros)) throw new Error(`a macro that must not be used here: ${found}`);
      return macros[name](argument);
    },
  );
}

const regexEscape = (text) => text.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&');

/** Formats variables as Grafana's Prometheus datasource does. */
const promqlFormat = (value, variable) => {
  if (!variable.multi && !variable.includeAll) return value;
  const escaped = [value].flat().map(regexEscape);
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
};

/** Expands a query for Prometheus, whose `scrape` interval is in seconds. */
export function expandPromql(expression, values, scrape) {
  const { from, to } = values.range;
  const step = Math.max(scrape, 1);
  return interpolate(expression, values, promqlFormat)
    .replaceAll('$__rate_interval', `${Math.max(step + scrape, 4 * scrape)}s`)
    .replaceAll('$__range', `${Math.round((to - from) / 1000)}s`);
}

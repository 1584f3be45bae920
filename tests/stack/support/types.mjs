// Checks dashboards against the types of @grafana/schema, with the TypeScript compiler.

import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const SCHEMA = path.dirname(createRequire(import.meta.url).resolve('@grafana/schema/package.json'));

/** Panels whose options and fields have types. */
const PANELS = ['barchart', 'stat', 'table', 'timeseries'];

// JSON has the values of enums and not their names, so `Plain` accepts values. An object literal may
// have no unknown members.
const PREAMBLE = `
import type * as schema from '@grafana/schema';
${PANELS.map((name) => `import type * as ${name} from '${SCHEMA}/dist/types/raw/composable/${name}/panelcfg/x/types.gen';`).join('\n')}

type Plain<T> = T extends string
  ? \`\${T}\`
  : T extends number
    ? number extends T ? number : \`\${T}\` extends \`\${infer N extends number}\` ? N : never
    : T extends boolean | null | undefined
      ? T
      : T extends readonly (infer E)[]
        ? Plain<E>[]
        : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

interface Field<C> extends Omit<schema.FieldConfig, 'custom'> { custom?: Partial<C> }
interface Typed<Name, O, C> extends Omit<schema.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Name;
  title: string;
  description: string;
  datasource: Required<Pick<schema.DataSourceRef, 'type' | 'uid'>>;
  options: O;
  fieldConfig: { defaults: Field<C>; overrides: schema.FieldConfigSource['overrides'] };
  targets: (SqlQuery | PromQuery)[];
}
interface SqlQuery extends schema.DataQuery {
  datasource: schema.DataSourceRef;
  editorMode: 'code';
  format: 'table' | 'time_series';
  rawQuery: true;
  rawSql: string;
}
interface PromQuery extends schema.DataQuery {
  datasource: schema.DataSourceRef;
  editorMode: 'code';
  expr: string;
  instant?: boolean;
  legendFormat?: string;
  range: boolean;
}
interface Dashboard extends Omit<schema.Dashboard, 'panels' | 'templating'> {
  uid: string;
  title: string;
  description: string;
}
type Variable = schema.VariableModel;
type Row = schema.RowPanel;
type BarChart = Typed<'barchart', barchart.Options, barchart.FieldConfig>;
type Stat = Typed<'stat', stat.Options, never>;
type Table = Typed<'table', table.Options, table.FieldConfig>;
type TimeSeries = Typed<'timeseries', timeseries.Options, timeseries.FieldConfig>;
`;

const TYPES = {
  barchart: 'BarChart',
  row: 'Row',
  stat: 'Stat',
  table: 'Table',
  timeseries: 'TimeSeries',
};

/** Returns TypeScript with each part of a dashboard as a literal of its type. */
function source(dashboard) {
  const { panels, templating, ...rest } = dashboard;
  const parts = [['Dashboard', rest]];
  for (const variable of templating.list) parts.push(['Variable', { current: undefined, ...variable }]);
  for (const panel of panels) {
    if (!(panel.type in TYPES)) throw new Error(`no types for panels of the kind ${panel.type}`);
    parts.push([TYPES[panel.type], panel]);
  }
  const literals = parts.map(([type, value], index) => {
    // Not selected yet: Grafana has {} until the query has run.
    const { current, ...more } = value;
    const literal = current && Object.keys(current).length === 0 ? more : value;
    return `export const part${index}: Plain<${type}> = ${JSON.stringify(literal, null, 1)};`;
  });
  return `${PREAMBLE}\n${literals.join('\n')}\n`;
}

/** Returns type errors: messages with the offending line. */
export function misfits(dashboards) {
  const options = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  };
  const files = new Map(
    Object.entries(dashboards).map(([name, content]) => [
      path.join(FOLDER, `${path.basename(name, '.json')}.generated.ts`),
      source(content),
    ]),
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => files.has(file) || fileExists.call(host, file);
  host.readFile = (file) => files.get(file) ?? readFile.call(host, file);
  host.getSourceFile = (file, version, ...more) =>
    files.has(file)
      ? ts.createSourceFile(file, files.get(file), version)
      : getSourceFile.call(host, file, version, ...more);
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n');
    if (file === undefined) return text;
    const { line } = file.getLineAndCharacterOfPosition(start);
    const context = file.text.split('\n').slice(Math.max(0, line - 2), line + 1).join('\n');
    return `${path.basename(file.fileName)}:${line + 1}: ${text}\n${context}`;
  });
}

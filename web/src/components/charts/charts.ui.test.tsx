import { fireEvent, render, screen } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { mockDialogs, openPopover, renderPart } from '../../test/providers';
import { Announcer } from './announcer';
import { BarList } from './BarList';
import { ChartFrame, type ChartState } from './ChartFrame';
import { ColumnChart } from './ColumnChart';
import { LineChart } from './LineChart';

// jsdom has no layout, and so nothing that observes one.
beforeEach(() => {
  mockDialogs();
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe = () => undefined;
      disconnect = () => undefined;
    },
  );
});

const points = ['Mon', 'Tue', 'Wed'].map((label) => ({ label, tick: label, partial: false }));

function renderLines(onOpen?: (point: number, series: string) => void) {
  render(
    <>
      <LineChart
        label="Sessions"
        unit="count"
        points={points}
        series={[
          { key: 'value', label: 'Now', values: [1, null, 3] },
          { key: 'before', label: 'Before', values: [4, 5, 6], before: true },
        ]}
        format={String}
        formatTick={String}
        nothing="no value"
        onOpen={onOpen}
      />
      <Announcer />
    </>,
  );
  return screen.getByRole('application');
}

test('arrow keys read a chart through one live region', () => {
  const chart = renderLines();
  const said = () => screen.getByRole('status').textContent;
  fireEvent.keyDown(chart, { key: 'ArrowLeft' });
  expect(said()).toBe('Now, Wed: 3');
  fireEvent.keyDown(chart, { key: 'ArrowLeft' });
  expect(said()).toBe('Now, Tue: no value');
  fireEvent.keyDown(chart, { key: 'ArrowDown' });
  expect(said()).toBe('Before, Tue: 5');
});

test('Enter opens what is behind the place that was read last', () => {
  const open = vi.fn();
  const chart = renderLines(open);
  fireEvent.keyDown(chart, { key: 'Enter' });
  expect(open).not.toHaveBeenCalled();
  fireEvent.keyDown(chart, { key: 'Home' });
  fireEvent.keyDown(chart, { key: 'Enter' });
  expect(open).toHaveBeenCalledWith(0, 'value');
});

test('a histogram is read by bin', () => {
  const columns = [
    { label: 'under 10 s', tick: '0 s', value: 3, text: '3 (75%)' },
    { label: '10 s or more', tick: '≥ 10 s', value: 1, text: '1 (25%)' },
  ];
  render(
    <>
      <ColumnChart label="Duration" columns={columns} formatTick={String} valueLabel="Values" />
      <Announcer />
    </>,
  );
  fireEvent.keyDown(screen.getByRole('application'), { key: 'Home' });
  expect(screen.getByRole('status').textContent).toBe('under 10 s: 3 (75%)');
});

const state = (more: Partial<ChartState> = {}): ChartState => ({
  loading: false,
  error: null,
  empty: false,
  outdated: false,
  retry: () => undefined,
  ...more,
});

const SQL = { title: 'Sessions', query: 'SELECT 1' };

function renderFrame(more: Partial<ChartState> = {}, sql?: typeof SQL) {
  renderPart(
    <ChartFrame
      title="Over time"
      summary="Highest: 3."
      state={state(more)}
      height={100}
      csv={{ save: () => undefined }}
      sql={sql}
      table={<p>the table</p>}
    >
      {(describedBy) => <p data-described-by={describedBy}>the chart</p>}
    </ChartFrame>,
  );
}

test('a chart has a summary and a table', () => {
  renderFrame();
  const summary = screen.getByText('Highest: 3.');
  expect(screen.getByText('the chart').dataset['describedBy']).toBe(summary.id);
  fireEvent.click(screen.getByRole('button', { name: /^Table/ }));
  expect(screen.queryByText('the chart')).toBeNull();
  expect(screen.getByText('the table')).toBeTruthy();
});

function openMenu() {
  openPopover(screen.getByRole('button', { name: /Over time$/, expanded: false }));
}

test('a chart with a query shows it in a dialog, however the chart is drawn', () => {
  renderFrame({ empty: true }, SQL);
  openMenu();
  fireEvent.click(screen.getByText('Show SQL'));
  expect(screen.getByRole('dialog', { name: /Sessions/ }).textContent).toContain('SELECT 1');
});

test('a chart without a query offers none', () => {
  renderFrame();
  openMenu();
  expect(screen.getByText('Download CSV')).toBeTruthy();
  expect(screen.queryByText('Show SQL')).toBeNull();
});

test('a chart says that it loads, that it is empty, and that it failed', () => {
  renderFrame({ loading: true });
  expect(screen.getByRole('status').textContent).toBe('Loading …');
});

test('an empty chart has no summary of nothing', () => {
  renderFrame({ empty: true });
  expect(screen.getByText('Nothing in this time')).toBeTruthy();
  expect(screen.queryByText('Highest: 3.')).toBeNull();
});

test('a bar opens what is behind it', () => {
  const run = vi.fn();
  render(
    <BarList
      label="Agents"
      max={2}
      bars={[
        { key: 'a', name: 'A', value: 2, text: '2', open: { label: 'Open A', run } },
        { key: 'o', name: 'others', value: 0, text: '1', muted: true },
      ]}
    />,
  );
  fireEvent.click(screen.getByRole('button', { name: 'A' }));
  expect(run).toHaveBeenCalled();
  expect(screen.getAllByRole('listitem')).toHaveLength(2);
});

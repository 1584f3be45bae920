import { fireEvent, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { renderPart } from '../../../test/providers';
import { en } from '../../../texts/en';
import { Chips, chipsOf } from './Chips';
import FilterPanel from './FilterPanel';
import { SearchField } from './SearchField';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('typing is searched for once it pauses', () => {
  const onChange = vi.fn();
  renderPart(<SearchField value="" onChange={onChange} />);
  const field = screen.getByRole('searchbox');
  fireEvent.change(field, { target: { value: 'ope' } });
  vi.advanceTimersByTime(100);
  fireEvent.change(field, { target: { value: ' opening ' } });
  expect(onChange).not.toHaveBeenCalled();
  vi.advanceTimersByTime(250);
  expect(onChange.mock.calls).toEqual([['opening']]);
});

test('each filter has a chip that takes it alone away', () => {
  const format = { duration: (seconds: number) => `${seconds} s` };
  const chips = chipsOf(
    { agent: ['a', 'b'], flag: ['no_join', 'altered'], silent: true, longer: 60, q: 'x' },
    en.conversations,
    format,
  );
  expect(chips.map((chip) => chip.label)).toEqual([
    'a',
    'b',
    'No join',
    'Altered text',
    'Silent arrivals',
    '≥ 60 s',
  ]);
  expect(chips[0]?.without).toEqual({ agent: ['b'] });
  expect(chips[2]?.without).toEqual({ flag: ['altered'] });
  expect(chips[4]?.without).toEqual({ silent: undefined });
});

test('a search says which filters it leaves out', () => {
  renderPart(
    <Chips
      search={{ q: 'hello', agent: ['a'], silent: true, single: true, min: 3 }}
      onChange={vi.fn()}
    />,
  );
  screen.getByText('A search leaves these filters out: One user turn, ≥ 3 messages');
});

test('lengths are chosen in minutes and kept in seconds', () => {
  const onChange = vi.fn();
  renderPart(<FilterPanel search={{ shorter: 90 }} onChange={onChange} />);
  expect(screen.getByLabelText('At most … minutes long')).toHaveProperty('value', '1.5');
  const longer = screen.getByLabelText('At least … minutes long');
  fireEvent.change(longer, { target: { value: '5' } });
  fireEvent.blur(longer);
  expect(onChange.mock.calls).toEqual([[{ longer: 300 }]]);
  fireEvent.click(screen.getByLabelText('One user turn only'));
  expect(onChange).toHaveBeenLastCalledWith({ single: true });
});

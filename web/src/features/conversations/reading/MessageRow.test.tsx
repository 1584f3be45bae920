import { fireEvent, screen } from '@testing-library/react';
import { expect, test, vi } from 'vitest';
import { messageAt } from '../../../test/messages';
import { renderPart } from '../../../test/providers';
import { Announcer } from './Announcer';
import { FindContext } from './find';
import { MessageRow } from './MessageRow';

function show(text: string, more = {}, needle = '') {
  renderPart(
    <FindContext value={needle}>
      <MessageRow
        message={messageAt(5, { message: text, ...more })}
        side="user"
        turnStart
        marked={false}
        place={3}
        total={100}
      />
    </FindContext>,
  );
  return screen.getByRole('article');
}

test.each([
  '<img src=x onerror=alert(1)><script>alert(2)</script>',
  '**bold** [link](javascript:alert(1))',
  'left \u202eevil txt.exe\u202c end',
  `z${'\u0301'.repeat(400)}`,
  '👩‍👩‍👧‍👦 � \u2028 \u0085',
  '&amp; &lt;',
])('%j is shown as it is, in its own direction', (text) => {
  const article = show(text);
  const shown = article.querySelector('p');
  expect(shown?.textContent).toBe(text);
  expect(shown?.childElementCount).toBe(0);
  expect(shown?.dir).toBe('auto');
});

test('a very long text is cut until it is opened, and no letter is split', () => {
  const text = `${'x'.repeat(1_999)}😀${'y'.repeat(48_000)}`;
  const article = show(text);
  expect(article.querySelector('p')?.textContent).toBe(`${'x'.repeat(1_999)} …`);
  fireEvent.click(screen.getByRole('button', { name: /all/ }));
  expect(article.querySelector('p')?.textContent).toBe(text);
});

test('the place in the whole conversation is told', () => {
  const article = show('Hello');
  expect(article.getAttribute('aria-posinset')).toBe('3');
  expect(article.getAttribute('aria-setsize')).toBe('100');
});

test('the exact time and a permalink are there', () => {
  show('Hello');
  const link = screen.getByRole('link');
  expect(link.getAttribute('href')).toBe('?message=m5');
  expect(link.querySelector('time')?.dateTime).toBe('2026-11-30T12:00:05.000000Z');
  const time = link.querySelector('time');
  if (time !== null) fireEvent.pointerEnter(time);
  expect(time?.title).toMatch(/05\.000/);
});

test('altered text is explained', () => {
  show('nul � byte', { altered: true });
  expect(screen.getByText('altered')).toBeTruthy();
  expect(screen.getByText(/exact bytes are kept/)).toBeTruthy();
});

test('what is looked for is marked', () => {
  const article = show('Where is the Toilet?', {}, 'toilet');
  expect(article.querySelector('mark')?.textContent).toBe('Toilet');
});

test('new messages are announced together and never read aloud', () => {
  vi.useFakeTimers();
  const at = (count: number) => <Announcer count={count} />;
  const { rerender } = renderPart(at(0));
  rerender(at(1));
  vi.advanceTimersByTime(1_000);
  rerender(at(3));
  expect(screen.getByRole('status').textContent).toBe('');
  vi.useRealTimers();
});

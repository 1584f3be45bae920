import { expect, test } from 'vitest';
import { hitAt, hitPositions, splitHits } from './find';

test('hits are found in any case and keep the spelling of the text', () => {
  expect(splitHits('Hello hELLo', 'hello')).toEqual([
    { text: 'Hello', hit: true, start: 0 },
    { text: ' ', hit: false, start: 5 },
    { text: 'hELLo', hit: true, start: 6 },
  ]);
});

test('letters whose lower case is longer do not shift the hits', () => {
  expect(hitPositions('İİ x', 'x')).toEqual([3]);
});

test('pieces put together are the text', () => {
  const text = 'a😀b ￼ <b>a</b> é̀';
  expect(
    splitHits(text, 'a')
      .map((piece) => piece.text)
      .join(''),
  ).toBe(text);
  expect(splitHits(text, '')).toEqual([{ text, hit: false, start: 0 }]);
});

test('steps go round the ends, and the first step back leads to the last hit', () => {
  expect([1, 2, 4].map((steps) => hitAt(steps, 3))).toEqual([0, 1, 0]);
  expect([-1, -2, -4].map((steps) => hitAt(steps, 3))).toEqual([2, 1, 2]);
  expect([hitAt(0, 3), hitAt(1, 0)]).toEqual([-1, -1]);
});

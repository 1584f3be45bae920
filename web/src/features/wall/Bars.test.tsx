import { render, screen } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { Bars } from './Bars';

const bars = (values: number[]) =>
  values.map((value, index) => ({ key: String(index), tick: '', value, here: index === 0 }));

describe('Bars', () => {
  it('says that there is nothing yet, instead of an empty row', () => {
    const { rerender } = render(
      <Bars title="Today" bars={bars([0, 0])} none="None yet" format={String} />,
    );
    expect(screen.getByText('· None yet')).toBeTruthy();
    rerender(<Bars title="Today" bars={bars([0, 3])} none="None yet" format={String} />);
    expect(screen.queryByText('· None yet')).toBeNull();
    rerender(<Bars title="Today" bars={[]} none="None yet" format={String} />);
    expect(screen.queryByText('· None yet')).toBeNull();
  });
});

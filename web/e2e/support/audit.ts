import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';

/** Rules about colours; all others find the same in both themes. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];

/** Fails where axe finds anything wrong with the view as it is now, in either theme. */
export async function audit(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    // There are no frames, so no blank page has to be opened for each run.
    const axe = new AxeBuilder({ page }).setLegacyMode(true);
    if (colorScheme === 'dark') axe.withRules(COLOUR_RULES);
    const { violations } = await axe.analyze();
    const found = violations.flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${id}: ${help}\n${node.html}\n${node.failureSummary ?? ''}`),
    );
    expect(found, `axe, ${colorScheme} theme, ${page.url()}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** Fails where the page can be scrolled sideways. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const wider = () =>
    page.evaluate(() => {
      const width = document.documentElement.clientWidth;
      const scrolls = document.documentElement.scrollWidth > width;
      const main = document.querySelector('#main > *:last-child');
      const inside = main !== null && main.scrollWidth > main.clientWidth;
      if (!scrolls && !inside) return [];
      return [...document.querySelectorAll('body *')]
        .filter((one) => one.getBoundingClientRect().right > width + 1)
        .slice(0, 5)
        .map((one) => one.outerHTML.slice(0, 200));
    });
  // What measures itself is drawn anew after the window has changed.
  await expect.poll(wider, `wider than the window: ${page.url()}`).toEqual([]);
}

/** Fails where a text is not shown whole: cut at the edge of its element, or with an ellipsis. */
export async function expectNothingCutOff(page: Page): Promise<void> {
  const cut = () =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('main *')]
        .filter((one) => {
          const style = getComputedStyle(one);
          const hides = style.overflowX === 'hidden' || style.overflowX === 'clip';
          return hides && style.clipPath === 'none' && one.scrollWidth > one.clientWidth;
        })
        .map((one) => `${one.className}: ${one.textContent.slice(0, 80)}`),
    );
  await expect.poll(cut, `cut off: ${page.url()}`).toEqual([]);
}

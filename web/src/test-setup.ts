import { afterEach, vi } from 'vitest';
import { cleanup } from '@testing-library/react';
import { loadFeatureTexts } from './texts';

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

await loadFeatureTexts();

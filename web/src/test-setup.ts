import { afterEach } from 'vitest';
import { cleanup } from '@testing-library/react';
import { loadFeatureTexts } from './texts';

afterEach(cleanup);

await loadFeatureTexts();

import { core } from './en/core';
import { features } from './en/features';

/** Every text of the page in English. A section for what all share, then one for each feature. */
export const en = { ...core, ...features };

export type Texts = typeof en;

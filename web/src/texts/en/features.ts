import { deliveries } from './deliveries';
import { gallery } from './gallery';
import { health } from './health';
import { keys } from './keys';
import { overview, wall } from './overview';
import { retention } from './retention';
import { setup } from './setup';

/** Texts in English of the features that are loaded when they are opened. */
export const features = { overview, deliveries, setup, health, keys, retention, gallery, wall };

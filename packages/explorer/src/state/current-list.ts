import { createSignal } from 'solid-js';
import type { FeatureList } from '../data/list.ts';

/** The list that next, previous and random follow. Set by whichever view made it. */
export const [currentList, setCurrentList] = createSignal<FeatureList | undefined>();

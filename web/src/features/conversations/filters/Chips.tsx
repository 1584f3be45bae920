import { Icon } from '../../../components/Icon';
import { useFormat, type Format } from '../../../format/use-format';
import { useTexts, type Texts } from '../../../texts';
import type { ConversationSearch } from '../search';
import type { FilterProps } from './FilterPanel';
import styles from './Filters.module.css';

interface Chip {
  label: string;
  /** What takes the filter away. */
  without: Partial<ConversationSearch>;
}

/** Filters that a search for a text knows, too. */
const IN_SEARCH: readonly string[] = [
  'agent',
  'source',
  'room',
  'status',
  'opened',
  'flag',
  'silent',
];

/** The filters that are set, each with a button that takes it away. */
export function Chips({ search, onChange }: FilterProps) {
  const { conversations } = useTexts();
  const chips = chipsOf(search, conversations, useFormat());
  if (chips.length === 0) return null;
  const ignored = search.q === undefined ? [] : chips.filter(isLeftOut);
  return (
    <>
      <ul className={styles.chips}>
        {chips.map((chip) => (
          <li key={chip.label}>
            <button
              type="button"
              className={styles.chip}
              data-left-out={ignored.includes(chip)}
              title={conversations.filters.remove(chip.label)}
              onClick={() => {
                onChange(chip.without);
              }}
            >
              <span className="visually-hidden">{conversations.filters.remove('')}</span>
              <bdi>{chip.label}</bdi>
              <Icon name="close" size={12} />
            </button>
          </li>
        ))}
      </ul>
      {ignored.length > 0 && (
        <p className={styles.note}>
          {conversations.filters.notInSearch(ignored.map((chip) => chip.label).join(', '))}
        </p>
      )}
    </>
  );
}

function isLeftOut(chip: Chip): boolean {
  return !Object.keys(chip.without).some((name) => IN_SEARCH.includes(name));
}

/** Returns a chip for each filter, in the words of the page. */
export function chipsOf(
  search: ConversationSearch,
  texts: Texts['conversations'],
  format: Pick<Format, 'duration'>,
): Chip[] {
  const { filters } = texts;
  const chips: Chip[] = (search.agent ?? []).map((agent) => {
    const rest = search.agent?.filter((one) => one !== agent);
    return { label: agent, without: { agent: rest?.length === 0 ? undefined : rest } };
  });
  const add = (label: string | undefined, without: Partial<ConversationSearch>) => {
    if (label !== undefined) chips.push({ label, without });
  };
  add(search.status && texts.status[search.status], { status: undefined });
  add(search.opened && `${filters.openedBy}: ${texts.openedBy[search.opened]}`, {
    opened: undefined,
  });
  for (const flag of search.flag ?? []) {
    const rest = search.flag?.filter((one) => one !== flag);
    add(texts.flags[flag], { flag: rest?.length === 0 ? undefined : rest });
  }
  add(search.silent && filters.silentShort, { silent: undefined });
  add(search.engaged && filters.engagedShort, { engaged: undefined });
  add(search.single && filters.singleShort, { single: undefined });
  add(search.source && `${filters.source}: ${search.source}`, { source: undefined });
  add(search.room && `${filters.room}: ${search.room}`, { room: undefined });
  if (search.min !== undefined) add(filters.minChip(search.min), { min: undefined });
  if (search.max !== undefined) add(filters.maxChip(search.max), { max: undefined });
  if (search.longer !== undefined) {
    add(filters.longerChip(format.duration(search.longer)), { longer: undefined });
  }
  if (search.shorter !== undefined) {
    add(filters.shorterChip(format.duration(search.shorter)), { shorter: undefined });
  }
  return chips;
}

import { useState } from 'react';
import { Button } from '../../../components/Button';
import { CopyButton } from '../../../components/CopyButton';
import { useTexts } from '../../../texts';
import type { SavedView } from '../api';
import { NameForm } from './NameForm';
import { viewUrl } from './view-query';

interface Props {
  view: SavedView;
  /** The list shows it now. */
  current: boolean;
  /** Names that are taken. */
  names: readonly string[];
  onOpen: () => void;
  onRename: (to: string) => void;
  onRemove: () => void;
}

/** A saved view: opens it; its link, a new name, and deleting it beside that. */
export function ViewRow({ view, current, names, onOpen, onRename, onRemove }: Props) {
  const { common, conversations } = useTexts();
  const texts = conversations.views;
  const [renaming, setRenaming] = useState(false);
  if (renaming) {
    return (
      <li>
        <NameForm
          label={texts.newName}
          start={view.name}
          errorOf={(name) => (name !== view.name && names.includes(name) ? texts.taken : undefined)}
          submitText={() => common.save}
          onSubmit={(name) => {
            setRenaming(false);
            if (name !== view.name) onRename(name);
          }}
        />
      </li>
    );
  }
  return (
    <li>
      <Button kind="quiet" aria-current={current} onClick={onOpen}>
        <bdi>{view.name}</bdi>
      </Button>
      <CopyButton
        icon="link"
        iconOnly
        text={viewUrl(view.query)}
        label={texts.copyLink(view.name)}
      />
      <Button
        kind="quiet"
        icon="pencil"
        iconOnly
        onClick={() => {
          setRenaming(true);
        }}
      >
        {texts.rename(view.name)}
      </Button>
      <Button kind="quiet" icon="trash" iconOnly onClick={onRemove}>
        {texts.remove(view.name)}
      </Button>
    </li>
  );
}

import { useState } from 'react';
import { Button } from '../../components/Button';
import { DateRange } from '../../components/DateRange';
import type { Range } from '../../components/DateRange/range';
import { Dialog } from '../../components/Dialog';
import { Facts } from '../../components/Facts';
import { Icon, ICON_NAMES } from '../../components/Icon';
import { Popover } from '../../components/Popover';
import { Menu } from '../../components/Popover/Menu';
import { Table, type Column } from '../../components/Table';
import { Tabs } from '../../components/Tabs';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts } from '../../texts';
import styles from './gallery.module.css';
import { Row, Section } from './Section';

const MINUTE_MS = 60_000;
const SIZES = [12, 1_536_000, 9_876_543_210];

/** Tables, tabs, overlays, times and icons. */
export function Structure() {
  return (
    <>
      <Tables />
      <Navigation />
      <Overlays />
      <Icons />
    </>
  );
}

function Tables() {
  const { gallery } = useTexts();
  const format = useFormat();
  const columns: Column<number>[] = [
    { key: 'name', header: gallery.columns.name, cell: (size) => gallery.choice(String(size)) },
    {
      key: 'size',
      header: gallery.columns.size,
      numeric: true,
      cell: (size) => format.bytes(size),
    },
    { key: 'note', header: gallery.columns.note, cell: () => gallery.sample },
  ];
  const shared = { columns, rows: SIZES, rowKey: String, captionHidden: false };
  return (
    <Section title={gallery.tables}>
      <Table {...shared} caption={gallery.caption} />
      <Table {...shared} caption={gallery.stacked} stacked />
      <Facts facts={SIZES.map((size) => ({ name: String(size), value: format.bytes(size) }))} />
    </Section>
  );
}

function Navigation() {
  const { gallery } = useTexts();
  const [tab, setTab] = useState('A');
  const [range, setRange] = useState<Range>({ period: 'last_7d' });
  const now = new Date(useNow(MINUTE_MS)).toISOString();
  return (
    <Section title={gallery.navigation}>
      <div>
        <Tabs
          label={gallery.navigation}
          value={tab}
          tabs={['A', 'B', 'C'].map((value) => ({ value, label: gallery.choice(value) }))}
          onChange={setTab}
        >
          <p className={styles.panel}>{gallery.choice(tab)}</p>
        </Tabs>
      </div>
      <Row>
        <DateRange value={range} onChange={setRange} />
        {(['short', 'clock', 'full', 'relative'] as const).map((shape) => (
          <Time key={shape} value={now} shape={shape} />
        ))}
      </Row>
    </Section>
  );
}

function Overlays() {
  const { common, gallery } = useTexts();
  const [open, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
  };
  return (
    <Section title={gallery.overlays}>
      <Row>
        <Button
          onClick={() => {
            setOpen(true);
          }}
        >
          {gallery.openDialog}
        </Button>
        <Popover label={gallery.popover} className={styles.trigger ?? ''} trigger={gallery.popover}>
          <p className={styles.panel}>{gallery.emptyText}</p>
        </Popover>
        <Menu
          label={gallery.menu}
          className={styles.trigger ?? ''}
          trigger={gallery.menu}
          items={['A', 'B', 'C'].map((name) => ({ label: gallery.choice(name) }))}
        />
      </Row>
      <Dialog
        open={open}
        title={gallery.dialog}
        onClose={close}
        actions={<Button onClick={close}>{common.close}</Button>}
      >
        <p>{gallery.dialogText}</p>
      </Dialog>
    </Section>
  );
}

function Icons() {
  const { gallery } = useTexts();
  return (
    <Section title={gallery.icons}>
      <ul className={styles.swatches}>
        {ICON_NAMES.map((name) => (
          <li key={name}>
            <Icon name={name} />
            <code>{name}</code>
          </li>
        ))}
      </ul>
    </Section>
  );
}

import { useState } from 'react';
import { Badge, StatusDot, type Tone } from '../../components/Badge';
import { Button } from '../../components/Button';
import { CopyButton } from '../../components/CopyButton';
import { Checkbox, Field, Select } from '../../components/Field';
import { StatusList } from '../../components/StatusList';
import { useTexts } from '../../texts';
import { Row, Section } from './Section';

const KINDS = ['primary', 'plain', 'quiet', 'danger'] as const;
const TONES: Tone[] = ['neutral', 'success', 'warning', 'danger', 'accent'];

/** Buttons, badges and fields. */
export function Controls() {
  return (
    <>
      <Buttons />
      <Badges />
      <Fields />
    </>
  );
}

function Buttons() {
  const { gallery } = useTexts();
  return (
    <Section title={gallery.buttons}>
      {KINDS.map((kind) => (
        <Row key={kind}>
          <Button kind={kind}>{gallery[kind]}</Button>
          <Button kind={kind} icon="plus">
            {gallery[kind]}
          </Button>
          <Button kind={kind} icon="plus" iconOnly>
            {gallery.iconOnly}
          </Button>
          <Button kind={kind} disabled>
            {gallery.disabled}
          </Button>
          <Button kind={kind} busy>
            {gallery.busy}
          </Button>
        </Row>
      ))}
      <Row>
        <CopyButton text={gallery.sample} />
        <CopyButton text={gallery.sample} iconOnly />
      </Row>
    </Section>
  );
}

function Badges() {
  const { gallery } = useTexts();
  return (
    <Section title={gallery.badges}>
      <Row>
        {TONES.map((tone) => (
          <Badge key={tone} tone={tone}>
            {gallery.tones[tone]}
          </Badge>
        ))}
      </Row>
      <Row>
        {TONES.map((tone) => (
          <StatusDot key={tone} tone={tone} label={gallery.tones[tone]} />
        ))}
      </Row>
      <StatusList
        items={TONES.map((tone) => ({
          key: tone,
          tone,
          status: gallery.tones[tone],
          text: gallery.sample,
          help: tone === 'warning' ? gallery.emptyText : undefined,
        }))}
      />
    </Section>
  );
}

function Fields() {
  const { gallery } = useTexts();
  const [text, setText] = useState(gallery.value);
  const [choice, setChoice] = useState('A');
  const [ticked, setTicked] = useState(true);
  const change = (event: { target: { value: string } }) => {
    setText(event.target.value);
  };
  return (
    <Section title={gallery.fields}>
      <Field label={gallery.label} value={text} onChange={change} />
      <Field
        label={`${gallery.label} 2`}
        value=""
        placeholder={gallery.placeholder}
        help={gallery.help2}
        onChange={change}
      />
      <Field label={`${gallery.label} 3`} value={text} error={gallery.wrong} onChange={change} />
      <Field label={gallery.disabled} value={text} disabled onChange={change} />
      <Select
        label={`${gallery.label} 4`}
        value={choice}
        options={['A', 'B'].map((value) => ({ value, label: gallery.choice(value) }))}
        onChange={setChoice}
      />
      <Checkbox label={gallery.choice('C')} checked={ticked} onChange={setTicked} />
      <Checkbox
        label={gallery.choice('D')}
        checked={!ticked}
        onChange={(on) => {
          setTicked(!on);
        }}
      />
    </Section>
  );
}

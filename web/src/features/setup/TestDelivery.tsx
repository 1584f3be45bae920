import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { queryKeys } from '../../api/keys';
import { sendTest, TEST_EVENTS, type TestEvent, type TestResult } from '../../api/setup';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Checkbox, Select } from '../../components/Field';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './setup.module.css';

const OK = 200;

/** Sends a test delivery through the front door and shows what it was answered. */
export function TestDelivery({ source }: { source: string }) {
  const { setup } = useTexts();
  const client = useQueryClient();
  const [event, setEvent] = useState<TestEvent>('test');
  const [real, setReal] = useState(false);
  const mayBeReal = event !== 'test';
  const test = useMutation({
    mutationFn: () => sendTest({ source, event, real: real && mayBeReal }),
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: queryKeys.setup });
      await client.invalidateQueries({ queryKey: queryKeys.deliveries });
    },
  });
  return (
    <section className={layout.section}>
      <h2>{setup.tryIt}</h2>
      <p className={layout.muted}>{setup.tryHelp}</p>
      <div className={styles.test}>
        <Select
          label={setup.event}
          value={event}
          options={TEST_EVENTS.map((value) => ({ value, label: setup.events[value] }))}
          onChange={setEvent}
        />
        <Button
          kind="primary"
          busy={test.isPending}
          onClick={() => {
            test.mutate();
          }}
        >
          {test.isPending ? setup.sending : setup.send}
        </Button>
      </div>
      {mayBeReal && <Checkbox label={setup.real} checked={real} onChange={setReal} />}
      <div role="status">{test.isSuccess && <Result result={test.data} />}</div>
      {test.isError && <ActionError error={test.error} />}
    </section>
  );
}

function Result({ result }: { result: TestResult }) {
  const { setup, deliveries } = useTexts();
  const format = useFormat();
  const { status, outcome, delivery_id, reason, error, session } = result;
  const time = format.duration(result.milliseconds / 1000);
  const good = status === OK;
  const outcomes: Record<string, string> = deliveries.outcomes;
  return (
    <div className={styles.result} data-tone={good ? 'success' : 'danger'}>
      <p>
        <strong>
          {typeof status === 'number' ? setup.answered(status, time) : setup.notAnswered(time)}
        </strong>
        {outcome && <> · {setup.became(outcomes[outcome] ?? outcome)}</>}
      </p>
      {error && <p>{error}</p>}
      {reason && <p>{reason}</p>}
      {!good && <p>{problemDetail(result.answer)}</p>}
      {good && !delivery_id && <p>{setup.waiting}</p>}
      {delivery_id && (
        <p className={styles.resultLinks}>
          <Link to="/deliveries/$id" params={{ id: delivery_id }}>
            {setup.openDelivery}
          </Link>
          {session && (
            <Link to="/conversations/$id" params={{ id: session }}>
              {setup.openConversation}
            </Link>
          )}
        </p>
      )}
    </div>
  );
}

/** Returns the explanation in an answer that is a problem. */
function problemDetail(answer: unknown): string | null {
  if (typeof answer !== 'object' || answer === null || !('detail' in answer)) return null;
  return typeof answer.detail === 'string' ? answer.detail : null;
}

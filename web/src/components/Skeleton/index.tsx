import { useTexts } from '../../texts';
import styles from './Skeleton.module.css';

/** Grey lines in the place of rows that are loading, so that nothing jumps. */
export function Skeleton({ rows = 3, height = 20 }: { rows?: number; height?: number }) {
  const { common } = useTexts();
  return (
    <div role="status" className={styles.skeleton}>
      <span className="visually-hidden">{common.loading}</span>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className={styles.line} style={{ height }} aria-hidden="true" />
      ))}
    </div>
  );
}

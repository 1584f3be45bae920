import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

interface Props {
  to: string;
  search?: Record<string, string>;
}

/**
 * Replaces the address once. The router's own component does so at each rendering, and the address
 * that it leads to renders whoever reads the address again.
 */
export function Redirect({ to, search = {} }: Props) {
  const navigate = useNavigate();
  const target = useRef({ to, search });
  useEffect(() => {
    void navigate({ ...target.current, replace: true });
  }, [navigate]);
  return null;
}

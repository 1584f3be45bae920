import { Outlet } from '@tanstack/react-router';
import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function DeliveriesView() {
  const { deliveries } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={deliveries.title}>
        <Outlet />
      </Page>
    </Requires>
  );
}

/** One delivery, beside the list. */
export function DeliveryPane() {
  return null;
}

/** Parts of the page that are read when somebody needs them; the browser reads them ahead when it has time. */
import { type ComponentType, Suspense, lazy } from "react";

function NotRead() {
  return (
    <div className="empty" role="alert">
      <b>This part of the page could not be read</b>
      <button type="button" className="btn primary" onClick={() => location.reload()}>
        Load the page again
      </button>
    </div>
  );
}

/** A component of a file of its own. `read` gives it; a file that does not come is said in its place. */
export function later<P extends object>(read: () => Promise<ComponentType<P>>): ComponentType<P> {
  const Part: ComponentType<P> = lazy(() =>
    read().then(
      (found) => ({ default: found }),
      () => ({ default: NotRead as ComponentType<P> }),
    ),
  ) as unknown as ComponentType<P>;
  return function Later(props: P) {
    return (
      <Suspense fallback={<div className="empty" aria-busy="true" />}>
        <Part {...props} />
      </Suspense>
    );
  };
}

const own = () => import("../own");
export const OrderForm = later(async () => (await own()).OrderForm);
export const TwapForm = later(async () => (await own()).TwapForm);
export const OrdersTable = later(async () => (await own()).OrdersTable);
export const OrderSheet = later(async () => (await own()).OrderSheet);
export const CloseAllSheet = later(async () => (await own()).CloseAllSheet);
export const EditSheet = later(async () => (await own()).EditSheet);
export const CloseSheet = later(async () => (await own()).CloseSheet);
export const WalletSheet = later(async () => (await own()).WalletSheet);
export const KeysSheet = later(async () => (await own()).KeysSheet);
export const Past = later(async () => (await own()).Past);

/** Read what a trader needs next. */
export const readAhead = (): void => void own().catch(() => undefined);

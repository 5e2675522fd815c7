/** The venue in React: hooks for any app, of which this page is one. Components only draw.
 *
 * `useHistory` and `useOperator` are files of their own: an app that needs them late can load them late. */
export { VenueProvider, tabAt, useHolder, useSession, useTab, useEvery, useKnown, useNow } from "./provider";
export { useConnection } from "./useConnection";
export { useMarket, useMarkets, useStories, useTickers, useTicks, useTrades } from "./useMarkets";
export { useCancel, useCancelAll, useEndedOrders, useOrders, usePlace, useReplace } from "./useOrders";
export { useCloseAll } from "./useCloseAll";
export { useCandles } from "./useCandles";
export { useClose, useMargin, useOpen, useOrderPreview, usePerpTrade, usePreview, useTriggers } from "./usePerpTrade";
export {
  useDemoPeople,
  useFills,
  usePastPositions,
  useTransactions,
  useUserPositions,
  useWalletBalance,
} from "./useUser";
export type { ConnectionNow } from "./useConnection";
export type { LivePosition, WalletNow } from "./useUser";
export type { Preview } from "./usePerpTrade";

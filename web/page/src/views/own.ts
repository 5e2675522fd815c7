/** What somebody needs who has signed in: orders, what can be done about positions, the wallet. One file of the built page. */
export { KeysSheet } from "./account/keys";
export { WalletSheet } from "./account/wallet";
export { CloseAllSheet } from "./orders/close-all";
export { OrderSheet } from "./orders/edit";
export { OrderForm } from "./orders/form";
export { OrdersTable } from "./orders/table";
export { TwapForm } from "./orders/twap";
export { Past } from "./portfolio/past";
export { CloseSheet } from "./positions/close";
export { EditSheet } from "./positions/edit";

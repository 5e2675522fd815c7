/** All that has to do with orders that wait, and closing everything: one file of the built page. */
export { CloseAllSheet } from "./close-all";
export { OrderForm } from "./form";
export { OrderSheet } from "./edit";
export { OrdersTable } from "./table";

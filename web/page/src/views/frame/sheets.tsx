import { SignIn } from "../account/signin";
import { Switcher } from "../market/switcher";
import { useDesk } from "./desk";
import { CloseAllSheet, CloseSheet, EditSheet, KeysSheet, OrderSheet, WalletSheet } from "./later";

/** Whatever sheet is open. */
export function Sheets() {
  const { sheet, show } = useDesk();
  const close = () => show(null);
  if (sheet === null) return null;
  if (sheet.name === "signin") return <SignIn onClose={close} />;
  if (sheet.name === "switcher") return <Switcher />;
  if (sheet.name === "wallet") return <WalletSheet onClose={close} />;
  if (sheet.name === "edit") return <EditSheet id={sheet.positionId} first={sheet.tab ?? "exits"} onClose={close} />;
  if (sheet.name === "close") return <CloseSheet id={sheet.positionId} onClose={close} />;
  if (sheet.name === "close-all") return <CloseAllSheet onClose={close} />;
  if (sheet.name === "order") return <OrderSheet id={sheet.orderId} onClose={close} />;
  return <KeysSheet onClose={close} />;
}

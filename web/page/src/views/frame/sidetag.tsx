import type { Position } from "../../api/venue";
import { Tri } from "./parts";

/** `▲ Long 10×`. */
export function SideTag({ position }: { position: Pick<Position, "side" | "leverage"> }) {
  const isLong = position.side === "long";
  return (
    <span className={isLong ? "tag long" : "tag short"}>
      <Tri isDown={!isLong} />
      {isLong ? "Long" : "Short"} {position.leverage}×
    </span>
  );
}

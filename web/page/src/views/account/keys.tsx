import { Sheet, SheetHead } from "../frame/sheet";

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "Find a market"],
  ["L  S", "Long, short, and into the size"],
  ["M  I  T  W", "Market, limit, stop, TWAP"],
  ["[  ]", "Less, more leverage"],
  ["1 – 6", "Interval of the chart"],
  ["P", "Your positions; then Enter changes one, X closes it"],
  ["↑  ↓", "From market to market, in the list"],
  ["B", "Wallet"],
  ["Esc", "Close what is on top"],
  ["?", "This list"],
];

export function KeysSheet({ onClose }: { onClose: () => void }) {
  return (
    <Sheet label="Keyboard" onClose={onClose}>
      <SheetHead title="Keyboard" onClose={onClose} />
      <dl className="preview">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>{what}</dt>
            <dd>
              <kbd>{key}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <p className="under">
        Charts: TradingView Lightweight Charts™, Copyright © 2025 TradingView, Inc.{" "}
        <a className="link" href="https://www.tradingview.com/" target="_blank" rel="noreferrer">
          tradingview.com
        </a>
      </p>
    </Sheet>
  );
}

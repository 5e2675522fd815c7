/** The ticket from elsewhere: a key, a phone's dock, a row of the list. */

/** Choose a side in the ticket that is there, and go into its size. */
export function pick(side: "long" | "short"): void {
  document.querySelector<HTMLElement>(`[data-testid="ticket-side-${side}"]`)?.click();
  document.getElementById("size")?.focus();
}

/** The same in the ticket of a market, which may not be the one that is shown yet. */
export function pickIn(ticker: string, side: "long" | "short"): void {
  location.hash = ticker;
  setTimeout(() => requestAnimationFrame(() => pick(side)));
}

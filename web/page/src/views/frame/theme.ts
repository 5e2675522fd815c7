/** Light or dark: the reader's system decides until the reader does. */
const PLACE = "perps.theme";

function kept(): string | null {
  try {
    return localStorage.getItem(PLACE);
  } catch {
    return null;
  }
}

/** Before the first paint. */
export function beginTheme(): void {
  const theme = kept();
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
}

export function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function switchTheme(): void {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(PLACE, theme);
  } catch {
    // It holds until the tab is closed.
  }
}

/** Call `listener` whenever colours may have changed. Returns the end of it. */
export function onTheme(listener: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = new MutationObserver(listener);
  system.addEventListener("change", listener);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    system.removeEventListener("change", listener);
    chosen.disconnect();
  };
}

const colours = new Map<string, string>();

/** A token's colour as the canvas takes it. */
export function colour(token: string, alpha = 1): string {
  const name = `${token} ${alpha} ${isDark()}`;
  const found = colours.get(name) ?? resolved(token, alpha);
  colours.set(name, found);
  return found;
}

function resolved(token: string, alpha: number): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  const parts = found.match(/[\d.]+/g) ?? ["0", "0", "0"];
  return `rgba(${parts.slice(0, 3).join(", ")}, ${alpha})`;
}

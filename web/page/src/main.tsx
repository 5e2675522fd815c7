import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { VenueProvider, tabAt } from "./hooks";
import "./style/tokens.css";
import "./style/page.css";
import "./style/more.css";
import { App } from "./views/app";
import { beginTheme } from "./views/frame/theme";

beginTheme();

/** The browser's store for this tab, if it has one. */
function store(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

const tab = tabAt(new URL(".", document.baseURI).href, store());
const place = document.getElementById("page");
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <VenueProvider tab={tab}>
        <App />
      </VenueProvider>
    </StrictMode>,
  );

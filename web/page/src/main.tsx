import { createChart, CandlestickSeries, HistogramSeries } from "lightweight-charts";
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import createClient from "openapi-fetch";
import Big from "big.js";
import { createParser } from "eventsource-parser";
import { createRoot } from "react-dom/client";
import "./style/tokens.css";
import "./style/page.css";
const c = createClient<any>({});
function A() { const q = useQuery({ queryKey: ["a"], queryFn: () => (c.GET as any)("/") }); return <b>{String(q.data)}{String(Big(1))}{String(createParser({ onEvent() {} }))}</b>; }
createRoot(document.getElementById("page")!).render(<QueryClientProvider client={new QueryClient()}><A /></QueryClientProvider>);
const chart = createChart(document.body); chart.addSeries(CandlestickSeries); chart.addSeries(HistogramSeries);

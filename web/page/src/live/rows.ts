/** Server-sent events, one journal row at a time: the events of a row belong together and are taken together. */
import { createParser } from "eventsource-parser";

export type StreamEvent = { readonly name: string; readonly data: unknown };
export type Row = { readonly id: string; readonly events: readonly StreamEvent[] };

/** Reads text as it comes and says each row when it is whole. What is left of a broken one is forgotten. */
export function rowReader(onRow: (row: Row) => void): (text: string) => void {
  let events: StreamEvent[] = [];
  const parser = createParser({
    onEvent({ event, id, data }) {
      events.push({ name: event ?? "message", data: JSON.parse(data) });
      if (id === undefined) return;
      const row = { id, events };
      events = [];
      onRow(row);
    },
  });
  return (text) => parser.feed(text);
}

/** The journal row that an id of the stream names: `3-48213` is row 48,213 of the third owner. */
export function offsetOf(id: string): number {
  return Number(id.slice(id.indexOf("-") + 1));
}

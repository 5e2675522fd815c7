import { type FormEvent, useState } from "react";
import { NoAnswer, Refused } from "../../api/venue";
import { useDemoPeople, useTab } from "../../hooks";
import { NobodysKey } from "../../live/session";
import { Icon } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";
import { nameOf } from "../ticket/fields";

export function SignIn({ onClose }: { onClose: () => void }) {
  const { sessions, venue } = useTab();
  const people = useDemoPeople();
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const signIn = async (with_: string) => {
    setProblem("");
    try {
      await sessions.signIn(venue, with_);
      onClose();
      if (sessions.trader() === null) location.hash = "/operator";
    } catch (error) {
      setProblem(why(error));
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim()) void signIn(key.trim());
  };
  return (
    <Sheet label="Sign in" onClose={onClose}>
      <SheetHead title="Who is trading?" onClose={onClose} />
      {people.length > 0 && (
        <>
          <p className="muted">This is the demo. The money is pretend; the prices move.</p>
          {people.map((person, at) => (
            <button
              key={person.userId}
              className={at ? "who" : "who first"}
              data-testid={`sign-in-demo-${person.userId}`}
              onClick={() => void signIn(person.key)}
            >
              <span className="avatar" aria-hidden="true">
                {nameOf(person.userId).slice(0, 1)}
              </span>
              <b>Trade as {nameOf(person.userId)}</b>
              <Icon name="go" />
            </button>
          ))}
          <div className="or">or use a key of your own</div>
        </>
      )}
      <form onSubmit={submit}>
        <div className="field" data-bad={problem !== "" || undefined}>
          <label htmlFor="key">Key</label>
          <input
            id="key"
            data-testid="sign-in-key"
            className="left"
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={key}
            aria-describedby="key-note"
            onChange={(event) => setKey(event.target.value)}
          />
          <button className="link">Sign in</button>
        </div>
        {problem && (
          <p className="note bad" role="alert">
            <Icon name="note" />
            <span>{problem}</span>
          </p>
        )}
        <p className="under" id="key-note">
          Kept in this tab only and forgotten when you close it. Your operator hands out keys.
        </p>
      </form>
    </Sheet>
  );
}

function why(error: unknown): string {
  if (error instanceof NobodysKey)
    return "This key trades for nobody and does not run the venue. Ask for one of a user, with the scope trade.";
  if (error instanceof Refused && error.code === "unauthorized") return "This key is not known or has ended.";
  if (error instanceof Refused) return error.message;
  if (error instanceof NoAnswer) return "The venue does not answer. Try again in a moment.";
  throw error;
}

import { type ReactNode, useEffect, useRef } from "react";
import { Icon } from "./parts";

/** A sheet over the page. Focus stays in it and goes back to where it was; Esc and a click outside close it. */
export function Sheet(props: { label: string; onClose: () => void; isWide?: boolean; children: ReactNode }) {
  const here = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = here.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={here}
      className="scrim"
      aria-label={props.label}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === event.currentTarget && props.onClose()}
    >
      <section className={props.isWide ? "sheet wide" : "sheet"}>{props.children}</section>
    </dialog>
  );
}

export function SheetHead({ title, onClose, children }: { title: string; onClose: () => void; children?: ReactNode }) {
  return (
    <div className="row">
      <h2>{title}</h2>
      {children}
      <button className="btn quiet icon" aria-label="Close" onClick={onClose}>
        <Icon name="x" />
      </button>
    </div>
  );
}

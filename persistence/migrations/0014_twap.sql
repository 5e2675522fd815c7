-- Orders that take their size in slices: how far each has come. No record is rewritten: those that there are have none.

alter table orders
    add column slices         int,
    add column interval_ms    bigint,
    add column slices_done    int,
    add column slices_skipped int,
    add column skip_reason    text,
    add column next_slice_at  bigint;

alter type orders_record
    add attribute slices         int,
    add attribute interval_ms    bigint,
    add attribute slices_done    int,
    add attribute slices_skipped int,
    add attribute skip_reason    text,
    add attribute next_slice_at  bigint;

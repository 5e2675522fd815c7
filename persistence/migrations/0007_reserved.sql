-- Reserved: this number belongs to a change that is merged beside this one.
select 1;

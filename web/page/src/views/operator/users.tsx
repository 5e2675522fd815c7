import { useState } from "react";
import type { User } from "../../api/venue";
import { useUsers } from "../../hooks/useOperator";
import * as say from "../../words/numbers";
import type { WithActs } from "./operator";
import { Gain, Icon } from "../frame/parts";

/** Everybody who has a wallet. */
export function Users({ act }: WithActs) {
  const { data: users, more } = useUsers();
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = (users ?? []).filter(({ userId }) => userId.toLowerCase().includes(wanted));
  return (
    <>
      <div className="head tall line">
        <h2>Users</h2>
        <div className="row">
          <div className="field">
            <Icon name="find" className="faint" />
            <input
              className="left"
              aria-label="Find a user"
              placeholder="Find a user"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          </div>
          <button className="btn" data-testid="add-user" onClick={() => act({ name: "user" })}>
            <Icon name="plus" />
            Add a user
          </button>
        </div>
      </div>
      <div className="over ages" role="region" tabIndex={0} aria-label="Table of users">
        <table className="t thin">
          <thead>
            <tr>
              <th>User</th>
              <th className="num">Available</th>
              <th className="num">In margin</th>
              <th className="num">Open positions</th>
              <th className="num">Paid in, net</th>
              <th className="num">Lifetime PnL</th>
              <th>
                <span className="vh">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map((user) => (
              <UserRow key={user.userId} user={user} act={act} />
            ))}
          </tbody>
        </table>
        {users && found.length === 0 && (
          <p className="empty">{users.length === 0 ? "No users yet." : `No user is called ‘${text}’.`}</p>
        )}
      </div>
      {more && (
        <p className="under pad">
          The newest {users?.length ?? 0} users are shown{wanted && ", and these are searched"}.{" "}
          <button className="link" data-testid="more-users" onClick={more}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}

function UserRow({ user, act }: WithActs & { user: User }) {
  const { userId } = user;
  return (
    <tr data-testid={`user-${userId}`}>
      <td>
        <b>{userId}</b>
      </td>
      <td className="num">{say.money(user.available)}</td>
      <td className="num">{say.money(user.margin)}</td>
      <td className="num">{user.openPositions}</td>
      <td className="num">{say.money(Number(user.totalDeposited) - Number(user.totalWithdrawn))}</td>
      <td className="num">
        <Gain value={user.lifetimePnL} />
      </td>
      <td>
        <span className="acts">
          <button
            className="btn quiet"
            aria-label={`Make a key for ${userId}`}
            onClick={() => act({ name: "key", userId })}
          >
            Key
          </button>
          <button className="btn" aria-label={`Deposit for ${userId}`} onClick={() => act({ name: "pay", userId })}>
            Deposit
          </button>
        </span>
      </td>
    </tr>
  );
}

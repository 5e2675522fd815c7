import type { EquityPoint } from "../../api/venue";
import { curveOf } from "../../live/equity";
import * as say from "../../words/numbers";
import { vars } from "../frame/parts";

const DAY_MS = 86_400_000;
const [WIDTH, HEIGHT] = [1000, 200];
type Spot = readonly [x: number, y: number];
const line = (spots: readonly Spot[]): string =>
  spots.map(([x, y]) => `${(x * WIDTH).toFixed(1)} ${(y * HEIGHT).toFixed(1)}`).join("L");

/** What one had, filled only between it and what was paid in: a deposit never looks like a gain. */
export function EquityCurve({ points, name }: { points: readonly EquityPoint[]; name: string }) {
  const curve = curveOf(points);
  const [first, last] = [points[0], points.at(-1)];
  if (curve === null || first === undefined || last === undefined)
    return (
      <div className="curve empty">
        <span>The curve begins with the first full hour.</span>
      </div>
    );
  const isShort = Date.parse(last.at) - Date.parse(first.at) < 3 * DAY_MS;
  const when = (at: number) => (isShort ? say.time(at).slice(0, 5) : say.day(at));
  const decimals = (curve.marks[1]?.value ?? 0) - (curve.marks[0]?.value ?? 0) < 1 ? 2 : 0;
  const said = `${name} from ${say.money(first.equity)} to ${say.money(last.equity)}, of which ${say.money(last.paidIn)} was paid in`;
  return (
    <div className="curve ages">
      <div className="pane">
        {curve.marks.map(({ y, value }) => (
          <i key={value} className="grid" style={vars({ "--y": `${y * 100}%` })} />
        ))}
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
          <path className="under-line" d={`M${line([...curve.equity, ...[...curve.paidIn].reverse()])}z`} />
          <path className="paid" d={`M${line(curve.paidIn)}`} />
          <path d={`M${line(curve.equity)}`} />
        </svg>
      </div>
      <div className="axis" aria-hidden="true">
        {curve.marks.map(({ y, value }) => (
          <span key={value} style={vars({ "--y": `${y * 100}%` })}>
            {value.toLocaleString(undefined, { minimumFractionDigits: decimals, maximumFractionDigits: decimals })}
          </span>
        ))}
      </div>
      <div className="times" aria-hidden="true">
        {curve.times.map(({ x, at }, n) => (
          <span key={x} style={vars({ "--x": `${2 + x * 96}%` })}>
            {x === 1 ? "now" : when(at) === when(curve.times[n - 1]?.at ?? 0) ? "" : when(at)}
          </span>
        ))}
      </div>
    </div>
  );
}

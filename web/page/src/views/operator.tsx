/** What runs the venue sees. */
export default function Operator() {
  return <main className="doc desk" id="main" tabIndex={-1} />;
}

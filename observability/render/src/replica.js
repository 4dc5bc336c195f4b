// A panel's SQL, answered by a replica, as Grafana's data frames: what the data source Infinity would make of it.
import { FieldType, toDataFrame } from '@grafana/data';

const TYPES = { timestamp_epoch: FieldType.time, number: FieldType.number, string: FieldType.string };

/** The frames of a panel: one a series, or for a table one a query. */
export async function answers(panel, texts) {
  const [target] = panel.targets;
  const body = target.url_options.data.replace(/\$\{(\w+)\}/g, (whole, name) => texts[name] ?? whole);
  const answer = await fetch('/replica', { method: target.url_options.method, body });
  if (answer.status === 204) {
    return []; // no replica runs
  }
  const found = await answer.json();
  if (!answer.ok) {
    throw new Error(`${found.message} in ${body}`);
  }
  const rows = found[target.root_selector];
  if (!rows.length) {
    return [];
  }
  return target.format === 'table' ? [frameOf(target, rows)] : bySeries(target, rows);
}

/** The time that the frames are of, in seconds since the epoch. */
export function rangeOf(frames) {
  const times = frames.flatMap((frame) => frame.fields.filter(({ type }) => type === FieldType.time)).flatMap(({ values }) => values);
  return { start: Math.min(...times) / 1000, end: Math.max(...times) / 1000 };
}

function frameOf(target, rows, name) {
  return toDataFrame({
    refId: target.refId,
    name,
    fields: target.columns.map(({ selector, text, type }) => ({
      name: text,
      type: TYPES[type],
      values: rows.map((row) => row[Number(selector)]),
      config: name !== undefined && type === 'number' ? { displayNameFromDS: name } : {},
    })),
  });
}

function bySeries(target, rows) {
  const at = target.columns.findIndex(({ type }) => type === 'string');
  const shown = { ...target, columns: target.columns.filter((_, index) => index !== at) };
  const names = [...new Set(rows.map((row) => row[at]))].sort();
  return names.map((name) => frameOf(shown, rows.filter((row) => row[at] === name), name));
}

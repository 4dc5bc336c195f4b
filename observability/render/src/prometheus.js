// A panel's queries, answered by Prometheus, as Grafana's data frames.
import { FieldType, toDataFrame } from '@grafana/data';

const STEP_SECONDS = 15;

/** The time range of all panels, in seconds since the epoch. */
export function lastMinutes(minutes) {
  const end = Math.floor(Date.now() / 1000 / STEP_SECONDS) * STEP_SECONDS;
  return { start: end - 60 * minutes, end };
}

/** Put the dashboard's variables and Grafana's own into a query. */
export function interpolated(expression, chosen, range) {
  const variables = {
    __rate_interval: `${4 * STEP_SECONDS}s`,
    __interval: `${STEP_SECONDS}s`,
    __range: `${range.end - range.start}s`,
    ...chosen,
  };
  return expression.replace(/\$\{?(\w+)\}?/g, (whole, name) => variables[name] ?? whole);
}

/** The frames of a panel: one a series, or for a table one a query. */
export async function frames(panel, chosen, range) {
  const answers = await Promise.all(panel.targets.map((target) => ask(target, chosen, range)));
  return answers.flatMap((series, index) => {
    const target = panel.targets[index];
    return target.format === 'table' ? tableFrame(target, series) : series.map((one) => timeFrame(target, one));
  });
}

async function ask(target, chosen, range) {
  const query = new URLSearchParams({ query: interpolated(target.expr, chosen, range) });
  const times = target.instant ? { time: range.end } : { ...range, step: STEP_SECONDS };
  Object.entries(times).forEach(([name, value]) => query.set(name, value));
  const answer = await fetch(`/api/v1/${target.instant ? 'query' : 'query_range'}?${query}`);
  const body = await answer.json();
  if (body.status !== 'success') {
    throw new Error(`${body.error} in ${query.get('query')}`);
  }
  return body.data.result;
}

function timeFrame(target, { metric, values, value }) {
  const points = values ?? [value];
  const legend = (target.legendFormat ?? '').replace(/{{\s*(\w+)\s*}}/g, (_, label) => metric[label] ?? '');
  return toDataFrame({
    refId: target.refId,
    name: legend,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([seconds]) => seconds * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        values: points.map(([, number]) => Number(number)),
        config: { displayNameFromDS: legend },
      },
    ],
  });
}

function tableFrame(target, series) {
  if (!series.length) {
    return [];
  }
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))];
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map(({ value }) => value[0] * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        values: series.map(({ metric }) => metric[label] ?? ''),
      })),
      { name: `Value #${target.refId}`, type: FieldType.number, values: series.map(({ value }) => Number(value[1])) },
    ],
  });
}

// One component for each type of panel. Time series, figures and tables are Grafana's; for state timelines and
// heatmaps, which are parts of its server, there are plain drawings in its colours.
import { dateTime, formattedValueToString } from '@grafana/data';
import { BigValue, Table, TimeSeries } from '@grafana/ui';

const LABEL_WIDTH = 150;

const last = (values) => values.findLast((value) => value !== null && !Number.isNaN(value));
const numbers = (frame) => frame.fields.find((field) => field.type === 'number');
// What Grafana's server would have worked out for a small line below a figure.
function spanned(field) {
  const known = field.values.filter((value) => Number.isFinite(value));
  const [min, max] = [Math.min(...known), Math.max(...known)];
  return { ...field, state: { ...field.state, range: { min, max, delta: max - min } } };
}

const nameOf = (frame) => numbers(frame).config.displayNameFromDS || numbers(frame).name;

export function Series({ frames, options, range, width, height }) {
  const times = { from: dateTime(range.start * 1000), to: dateTime(range.end * 1000) };
  // Grafana draws a legend's table with tools of its server; a list says as much here.
  const legend = { ...options.legend, displayMode: 'list', calcs: [] };
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={{ ...times, raw: times }}
      timeZone="utc"
      structureRev={1}
      legend={legend}
      options={options}
    />
  );
}

export function Figures({ frames, options, theme, width, height }) {
  const each = width / frames.length;
  return (
    <div style={{ display: 'flex' }}>
      {frames.map((frame) => {
        const field = numbers(frame);
        const value = { ...field.display(last(field.values)), title: frames.length > 1 ? nameOf(frame) : undefined };
        return (
          <BigValue
            key={nameOf(frame)}
            width={each}
            height={height}
            theme={theme}
            value={value}
            colorMode={options.colorMode}
            graphMode={options.graphMode}
            sparkline={field.values.length > 1 ? { x: frame.fields[0], y: spanned(field) } : undefined}
          />
        );
      })}
    </div>
  );
}

export function Rows({ frames, width, height }) {
  return <Table data={frames[0]} width={width} height={height} />;
}

export function States({ frames, range, theme, width, height }) {
  const scale = (width - LABEL_WIDTH) / (range.end - range.start);
  const step = Math.min(28, (height - 8) / frames.length);
  return (
    <svg width={width} height={height}>
      {frames.map((frame, row) => {
        const field = numbers(frame);
        const times = frame.fields[0].values;
        return (
          <g key={nameOf(frame)} transform={`translate(0 ${4 + row * step})`}>
            <text x={LABEL_WIDTH - 8} y={step / 2 + 4} textAnchor="end" fontSize={11} fill={theme.colors.text.secondary}>
              {nameOf(frame).slice(-24)}
            </text>
            {field.values.map((value, index) => {
              const until = times[index + 1] ?? range.end * 1000;
              const x = LABEL_WIDTH + (times[index] / 1000 - range.start) * scale;
              const wide = Math.max(1, ((until - times[index]) / 1000) * scale + 0.5);
              return <rect key={index} x={x} width={wide} height={step - 4} fill={field.display(value).color} />;
            })}
          </g>
        );
      })}
    </svg>
  );
}

export function Heat({ frames, range, theme, width, height }) {
  // Prometheus counts each bucket together with all below it.
  const buckets = frames
    .map((frame) => ({ bound: Number(numbers(frame).labels.le.replace('+Inf', 'Infinity')), frame }))
    .sort((a, b) => a.bound - b.bound);
  const counts = buckets.map(({ frame }, index) =>
    numbers(frame).values.map((value, at) => Math.max(0, value - (index ? numbers(buckets[index - 1].frame).values[at] ?? 0 : 0)))
  );
  const most = Math.max(1e-9, ...counts.flat().filter(Number.isFinite));
  const display = numbers(frames[0]).display;
  const tall = (height - 4) / buckets.length;
  const scale = (width - 60) / (range.end - range.start);
  const every = Math.ceil(14 / tall);
  return (
    <svg width={width} height={height}>
      {buckets.map(({ bound, frame }, index) => {
        const y = height - 4 - (index + 1) * tall;
        const label = Number.isFinite(bound) ? formattedValueToString(display(bound)) : '∞';
        return (
          <g key={bound}>
            {index % every === 0 && (
              <text x={54} y={y + tall / 2 + 4} textAnchor="end" fontSize={10} fill={theme.colors.text.secondary}>
                {label}
              </text>
            )}
            {counts[index].map((count, at) => {
              const x = 60 + (frame.fields[0].values[at] / 1000 - range.start) * scale;
              const opacity = Math.sqrt(count / most);
              return count > 0 && <rect key={at} x={x} y={y} width={15 * scale} height={tall - 1} fill="#ff9830" opacity={opacity} />;
            })}
          </g>
        );
      })}
    </svg>
  );
}

export const COMPONENTS = { timeseries: Series, stat: Figures, table: Rows, 'state-timeline': States, heatmap: Heat };

// A dashboard as a page: ?dashboard=FILE&minutes=N&pipeline=REGEX. Each panel has data-panel (its title) and
// data-state: loading, ok, empty or error.
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';
import {
  createTheme,
  FieldType,
  getDisplayProcessor,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { GlobalStyles, PanelChrome, ThemeContext } from '@grafana/ui';
import 'uplot/dist/uPlot.min.css';

import { COMPONENTS } from './panels.jsx';
import { frames, lastMinutes } from './prometheus.js';
import { answers, rangeOf } from './replica.js';

const COLUMN = 60;
const ROW = 38;
const GAP = 8;

const { mergeTransformer, organizeFieldsTransformer, ...others } = standardTransformers;
const { orderFieldsTransformer, filterFieldsByNameTransformer, renameFieldsTransformer } = others;
// Organizing makes use of the last three.
const TRANSFORMERS = [
  mergeTransformer,
  organizeFieldsTransformer,
  orderFieldsTransformer,
  filterFieldsByNameTransformer,
  renameFieldsTransformer,
];
standardTransformersRegistry.setInit(() =>
  TRANSFORMERS.map((transformation) => ({ id: transformation.id, name: transformation.name, transformation }))
);

const theme = createTheme({ colors: { mode: 'dark' } });
const asked = new URLSearchParams(location.search);
const range = lastMinutes(Number(asked.get('minutes') ?? 15));
const chosen = { cluster: '.*', namespace: '.*', pipeline: asked.get('pipeline') ?? '.*' };

async function shown(panel) {
  const found = panel.datasource.type === 'prometheus' ? await frames(panel, chosen, range) : await answers(panel, texts);
  const data = panel.transformations?.length
    ? await firstValueFrom(transformDataFrame(panel.transformations, found))
    : found;
  const custom = { drawStyle: 'line', ...panel.fieldConfig.defaults.custom };
  const color = { mode: panel.type === 'timeseries' ? 'palette-classic' : 'thresholds' };
  const defaults = { color, ...panel.fieldConfig.defaults, custom };
  data.forEach((frame, seriesIndex) =>
    frame.fields.forEach((field) => {
      // The dashboards have no overrides (a test of theirs says so), so this is all that Grafana would do.
      field.config = field.type === FieldType.number ? { ...defaults, ...field.config } : field.config;
      field.state = { ...field.state, seriesIndex };
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    })
  );
  return data;
}

function Panel({ panel }) {
  const [answer, setAnswer] = useState({ state: 'loading' });
  useEffect(() => {
    shown(panel).then(
      (data) => setAnswer({ state: data.some((frame) => frame.length) ? 'ok' : 'empty', data }),
      (error) => setAnswer({ state: 'error', error: String(error) })
    );
  }, [panel]);
  const { x, y, w, h } = panel.gridPos;
  const Drawn = COMPONENTS[panel.type];
  return (
    <div
      data-panel={panel.title}
      data-state={answer.state}
      data-error={answer.error}
      style={{ position: 'absolute', left: x * COLUMN, top: y * ROW }}
    >
      <PanelChrome title={panel.title} width={w * COLUMN - GAP} height={h * ROW - GAP}>
        {(width, height) =>
          answer.state === 'ok' ? (
            <Drawn
              frames={answer.data}
              options={panel.options ?? {}}
              range={panel.datasource.type === 'prometheus' ? range : rangeOf(answer.data)}
              {...{ theme, width, height }}
            />
          ) : (
            <div style={{ padding: 16, color: theme.colors.text.secondary }}>
              {answer.error ?? (answer.state === 'empty' ? panel.fieldConfig.defaults.noValue : '')}
            </div>
          )
        }
      </PanelChrome>
    </div>
  );
}

function Row({ row }) {
  return (
    <h6 style={{ position: 'absolute', left: 4, top: row.gridPos.y * ROW + 6, color: theme.colors.text.primary }}>
      {row.title}
    </h6>
  );
}

function Dashboard({ panels }) {
  const height = ROW * Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: 'relative', width: 24 * COLUMN, height, background: theme.colors.background.canvas }}>
        {panels.map((panel) =>
          panel.type === 'row' ? <Row key={panel.id} row={panel} /> : <Panel key={panel.id} panel={panel} />
        )}
      </div>
    </ThemeContext.Provider>
  );
}

const dashboard = await (await fetch(`/dashboards/${asked.get('dashboard')}`)).json();
const texts = Object.fromEntries(
  dashboard.templating.list.filter(({ type }) => type === 'textbox').map(({ name, query }) => [name, query])
);
createRoot(document.getElementById('root')).render(<Dashboard panels={dashboard.panels} />);

/** Only those parts of ECharts that the plots use; this module comes with the first page that has one. */
import { BarChart, LineChart, SankeyChart, ScatterChart } from 'echarts/charts'
import { AriaComponent, DatasetComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([
  BarChart, LineChart, SankeyChart, ScatterChart, AriaComponent, DatasetComponent, GridComponent, LegendComponent,
  MarkLineComponent, TooltipComponent, CanvasRenderer,
])

export { init }

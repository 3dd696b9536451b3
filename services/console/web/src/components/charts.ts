/** Only those parts of ECharts that the plots use; this module comes with the first page that has one. */
import { BarChart, LineChart, SankeyChart } from 'echarts/charts'
import { GridComponent, LegendPlainComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([BarChart, LineChart, SankeyChart, GridComponent, LegendPlainComponent, TooltipComponent, CanvasRenderer])

export { init }

/** The texts in Chinese: the source, which comes with the first view. */
import { audit } from './audit'
import { catalogue } from './catalogue'
import { data } from './data'
import { demands } from './demands'
import { field } from './field'
import { frame } from './frame'
import { keeping } from './keeping'
import { overview } from './overview'
import { providing } from './providing'
import { running } from './running'

export const words = { ...frame, ...demands, field, catalogue, data, overview, audit, keeping, providing, running }

export { default as library } from 'antd/locale/zh_CN'

// What we take of Element Plus, each component with its own styles; the rest is not in the bundle.

import 'element-plus/theme-chalk/base.css';
import 'element-plus/theme-chalk/el-overlay.css';
import 'element-plus/theme-chalk/el-popper.css';
import 'element-plus/theme-chalk/el-scrollbar.css';
import 'element-plus/theme-chalk/el-tag.css';
import 'element-plus/theme-chalk/el-button.css';
import 'element-plus/theme-chalk/el-input.css';
import 'element-plus/theme-chalk/el-select.css';
import 'element-plus/theme-chalk/el-option.css';
import 'element-plus/theme-chalk/el-select-dropdown.css';
import 'element-plus/theme-chalk/el-date-picker.css';
import 'element-plus/theme-chalk/el-date-picker-panel.css';
import 'element-plus/theme-chalk/el-dialog.css';
import 'element-plus/theme-chalk/el-dropdown.css';
import 'element-plus/theme-chalk/el-dropdown-menu.css';
import 'element-plus/theme-chalk/el-dropdown-item.css';
import 'element-plus/theme-chalk/el-form.css';
import 'element-plus/theme-chalk/el-form-item.css';
import 'element-plus/theme-chalk/el-radio.css';
import 'element-plus/theme-chalk/el-radio-group.css';

export { ElConfigProvider } from 'element-plus/es/components/config-provider/index';
export { ElDialog } from 'element-plus/es/components/dialog/index';
export { ElInput } from 'element-plus/es/components/input/index';
export { ElSelect, ElOption } from 'element-plus/es/components/select/index';
export { ElDatePicker } from 'element-plus/es/components/date-picker/index';
export { ElForm, ElFormItem } from 'element-plus/es/components/form/index';
export { ElRadio, ElRadioGroup } from 'element-plus/es/components/radio/index';
export type { FormInstance, FormRules } from 'element-plus/es/components/form/index';

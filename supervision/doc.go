// Package supervision knows who supervises whom, on what approval: the organisation, the people who work in it, the
// subjects (社区矫正对象), which office has them, and the approvals to use an electronic positioning device (社区矫正法 29).
//
// It promises that every read of a case is limited to the part of the organisation the caller may see, that what
// identifies a person is kept encrypted and apart, that nothing recorded is rewritten (a correction closes one recorded
// interval and opens another), and that every change of a fact is in the ledger and has the subject judged anew.
//
// It refuses an approval the law does not know: another ground, another approver, more than three calendar months.
package supervision

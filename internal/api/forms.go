package api

import (
	"strings"

	"entente/statement"
)

// describeForms adds the schema of every face and body that is a form, made of its declaration.
func (s *schemas) describeForms() {
	for _, k := range statement.FormKinds(statement.KindsEdition) {
		s.named[k.Name+".face"] = declaredSchema(k.Label, k.Face())
		s.named[k.Name+".body"] = declaredSchema(k.Label, k.Body())
	}
}

func declaredSchema(label statement.Words, form statement.Form) *Schema {
	o := &Schema{Type: "object", AdditionalProperties: false, Properties: map[string]*Schema{}, Description: label.EN + " / " + label.ZH}
	for _, f := range form {
		o.Properties[f.Name] = fieldSchema(f)
		if f.Required {
			o.Required = append(o.Required, f.Name)
		}
	}
	return o
}

func fieldSchema(f statement.Field) *Schema {
	s := &Schema{Type: "string"}
	switch f.Type {
	case statement.FieldGroup:
		s = declaredSchema(f.Label, f.Fields)
	case statement.FieldCode:
		for _, c := range f.Codes {
			s.Enum = append(s.Enum, c.Name)
		}
	case statement.FieldFlag:
		s.Type = "boolean"
	case statement.FieldWhole, statement.FieldInstant:
		s.Type = "integer"
	case statement.FieldDate:
		s.Format = "date"
	case statement.FieldMail:
		s.Format = "email"
	case statement.FieldCited:
		s.Pattern = "^[0-9a-f]{64}$"
	case statement.FieldNumber:
		s.Pattern = "^[A-Z]{2,8}-" + f.Codes[0].Name + "-[0-9]{4}-[0-9]{4,8}$"
	}
	words := strings.TrimSuffix(f.Label.EN+" / "+f.Label.ZH+". "+f.Hint.EN, ".") + "."
	if f.Source != "" {
		words += " (" + f.Source + ")"
	}
	if f.Many == 0 {
		s.Description = words
		return s
	}
	return &Schema{Type: "array", Items: s, MaxItems: f.Many, Description: words}
}

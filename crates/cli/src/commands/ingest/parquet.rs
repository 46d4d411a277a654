//! Rows of Parquet files as JSON: dates and decimals as texts, instants as numbers since 1970, bytes as hexadecimal digits.

use std::fs::File;

use anyhow::{Context as _, Result};
use musubi_channels::files::Line;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use crate::input::Meter;

/// The rows of one file.
pub(super) struct Rows {
    rows: RowIter<'static>,
    meter: Meter,
    bytes: u64,
    all: u64,
    number: u64,
}

impl Rows {
    /// Opens a file. As its columns are read here and there, its bytes are counted in proportion to its rows.
    pub(super) fn open(file: File, meter: &Meter) -> Result<Self> {
        use parquet::file::reader::FileReader as _;
        let bytes = file.metadata()?.len();
        let reader = SerializedFileReader::new(file).context("wanted a Parquet file")?;
        let all = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
        let rows = RowIter::from_file_into(Box::new(reader));
        Ok(Self { rows, meter: meter.clone(), bytes, all, number: 0 })
    }
}

impl Iterator for Rows {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        let before = self.place();
        self.number += 1;
        self.meter.add(self.place() - before);
        let line = row.context("cannot read on").and_then(|row| Ok(serde_json::to_vec(&object(&row))?));
        Some(line.map(|json| Line::ndjson(self.number, json)))
    }
}

impl Rows {
    fn place(&self) -> u64 {
        let share = u128::from(self.bytes) * u128::from(self.number.min(self.all)) / u128::from(self.all.max(1));
        u64::try_from(share).unwrap_or(self.bytes)
    }
}

fn object(row: &Row) -> Value {
    Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => Value::Bool(*truth),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        Field::Float16(number) => float(f64::from(*number)),
        Field::Float(number) => float(f64::from(*number)),
        Field::Double(number) => float(*number),
        Field::TimestampMillis(number) | Field::TimestampMicros(number) => (*number).into(),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => Value::String(bytes.data().iter().map(|byte| format!("{byte:02x}")).collect()),
        },
        Field::Date(_) | Field::Decimal(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => {
            Value::String(field.to_string())
        }
        Field::Group(row) => object(row),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        Field::MapInternal(map) => {
            let name = |key: &Field| match value(key) {
                Value::String(name) => name,
                other => other.to_string(),
            };
            Value::Object(map.entries().iter().map(|(key, held)| (name(key), value(held))).collect::<Map<_, _>>())
        }
    }
}

/// A number; null where it is none.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int64Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
        RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn column(array: impl arrow_array::Array + 'static) -> ArrayRef {
        Arc::new(array)
    }

    /// A file of two rows with a column of each kind, in the second of which nothing stands.
    fn written() -> Result<File> {
        let amount = Decimal128Array::from(vec![Some(1_280_010), None]).with_precision_and_scale(12, 2)?;
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("card", column(StringArray::from(vec![Some("0490"), None])), true),
            ("day", column(Date32Array::from(vec![Some(20_544), None])), true),
            ("at", column(TimestampMicrosecondArray::from(vec![Some(1_775_008_800_123_456), None])), true),
            ("until", column(TimestampMillisecondArray::from(vec![Some(1_775_008_800_123), None])), true),
            ("amount", column(amount), true),
            ("points", column(Int64Array::from(vec![Some(12), None])), true),
            ("share", column(Float64Array::from(vec![Some(0.5), Some(f64::NAN)])), true),
            ("member", column(BooleanArray::from(vec![Some(true), None])), true),
            ("hash", column(BinaryArray::from_opt_vec(vec![Some(b"\xff\x00"), None])), true),
            ("shops", column(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None])), true),
        ])?;
        let file = tempfile::tempfile()?;
        let mut writer = ArrowWriter::try_new(file.try_clone()?, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(file)
    }

    #[test]
    fn every_kind_of_column_is_a_field_of_its_row() -> Result<()> {
        let meter = Meter::default();
        let rows: Vec<Line> = Rows::open(written()?, &meter)?.collect::<Result<_>>()?;
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2]);
        let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_slice(&row.json)).collect::<Result<_, _>>()?;
        let wanted = serde_json::json!({
            "card": "0490", "day": "2026-04-01", "at": 1_775_008_800_123_456_i64, "until": 1_775_008_800_123_i64,
            "amount": "12800.10", "points": 12, "share": 0.5, "member": true, "hash": "ff00", "shops": [1, null],
        });
        assert_eq!(rows[0], wanted);
        assert!(
            rows[1].as_object().is_some_and(|row| row.len() == 10 && row.values().all(Value::is_null)),
            "{}",
            rows[1]
        );
        Ok(())
    }

    #[test]
    fn what_is_no_parquet_is_refused() -> Result<()> {
        let file = tempfile::tempfile()?;
        std::io::Write::write_all(&mut &file, b"a,b\n1,2\n")?;
        let told = Rows::open(file, &Meter::default()).err().map(|why| why.to_string());
        assert_eq!(told.as_deref(), Some("wanted a Parquet file"));
        Ok(())
    }
}
